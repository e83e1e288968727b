"""Submit a workflow exactly once, after its inputs are uploaded, and find that of an interrupted submit.

A lock tells whether a command may still submit the run, and a note says which workflows were there before: name and
text do not identify a submit, as an equal job of another state folder has the same ones.
"""

import contextlib
import dataclasses
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain.cluster.answers import as_mapping, as_mappings
from robotrain.cluster.checks import suggest_names
from robotrain.cluster.submit_note import SubmitNote
from robotrain.command import ProcessResult
from robotrain.errors import Problem, Rejected, Stage, Suggestion, Unanswered, make_problem
from robotrain.model.plan import Plan
from robotrain.model.run import Reference
from robotrain.redaction import redact
from robotrain.store import records
from robotrain_runtime.contract.files import is_locked, lock_file

from robotrain_osmo.client import failures, service
from robotrain_osmo.client.failures import UNREACHABLE_CODES, CommandFailed, CommandFailure
from robotrain_osmo.observe import pipeline_steps
from robotrain_osmo.spec import environment, pipeline_plan
from robotrain_osmo.spec.submission_spec import OsmoCredential, OsmoSubmissionSpec
from robotrain_osmo.submit import upload

SUBMIT_SECONDS = 300.0
"""OSMO makes two requests of at most a minute each."""
TEMPORARY_FILE = "workflow.yaml"
"""OSMO would take a name that ends in `-1` for a workflow's id."""


def submit_plan(plan: Plan) -> Reference:
    """Upload the inputs and submit the workflow.

    Raise Rejected if OSMO refused and nothing runs, Unanswered if that is unknown.
    """
    submission = pipeline_plan.load_submission(plan, Stage.SUBMIT)
    for part, own in pipeline_plan.list_parts(plan, Stage.SUBMIT):
        upload.upload_folders(part, own)
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        file = Path(folder) / TEMPORARY_FILE
        file.write_bytes(plan.files[plan.spec])
        with hold_submit_lock(submission.run) as pass_fds:
            before = list_workflow_ids(submission)
            write_note(plan, before)
            result, failure = _submit_workflow(submission, file, pass_fds)
    if failure is not None:
        return _handle_failure(plan, submission, failure)
    workflow = _read_workflow_id(result)
    with contextlib.suppress(Rejected):  # without it, the workflow is found among the new ones
        write_note(plan, before, workflow)
    return make_reference(plan, submission, workflow)


def _submit_workflow(
    submission: OsmoSubmissionSpec, file: Path, pass_fds: Sequence[int]
) -> tuple[ProcessResult, CommandFailure | None]:
    priority = ("--priority", submission.priority) if submission.priority else ()
    words = ("workflow", "submit", str(file), "-t", "json", "-p", submission.pool, *priority)
    return service.call_command(submission.cli, *words, seconds=SUBMIT_SECONDS, pass_fds=pass_fds)


def _handle_failure(plan: Plan, submission: OsmoSubmissionSpec, failure: CommandFailure) -> Reference:
    """Return the workflow if OSMO accepted it despite the failure. Raise Rejected or Unanswered."""
    if failure.certain:
        NOTE.delete(plan)
        raise Rejected([explain_refusal(failure, submission)])
    try:
        reference = find_workflow(plan)
    except Rejected:
        reference = None
    if reference is None:
        raise Unanswered([failure.to_problem()])
    print(f"{failure.title}, but accepted {reference['workflow']}", file=sys.stderr)
    return reference


def _read_workflow_id(result: ProcessResult) -> str:
    """Return the workflow's id and print OSMO's warnings. Raise Unanswered if there is no id."""
    try:
        answer = result.parse_json()
        name = answer["name"]
    except (ValueError, KeyError, TypeError):
        raise Unanswered([_make_missing_id_problem()]) from None
    warnings = answer.get("warnings")
    for warning in warnings if isinstance(warnings, list) else []:
        print(f"OSMO warns: {redact(str(warning))}", file=sys.stderr)
    if not isinstance(name, str) or not name:
        raise Unanswered([_make_missing_id_problem()])
    return name


def _make_missing_id_problem() -> Problem:
    return make_problem("osmo-unanswered", "OSMO's answer contains no workflow id")


QUERY_SECONDS = 15.0


def explain_refusal(failure: CommandFailure, submission: OsmoSubmissionSpec) -> Problem:
    """Return the problem of a refused submit, suggesting the pools or platforms that OSMO lists."""
    problem = failure.to_problem()
    for credential in submission.credentials:
        if failure.code == "osmo-credential-missing" and credential.name == failure.name:
            return environment.make_missing_credential_problem(credential, Stage.SUBMIT)
        if failure.code == "osmo-credential-key" and credential.key == failure.name:
            return _make_missing_key_problem(credential, failure.why)
    if failure.code == "osmo-unreachable":
        return dataclasses.replace(problem, why="Nothing was sent.")
    if failure.code not in ("osmo-pool-unknown", "osmo-platform-unknown"):
        return problem
    try:
        pools = service.list_pools(submission.cli, QUERY_SECONDS, Stage.SUBMIT)
    except CommandFailed:
        return problem
    if failure.code == "osmo-pool-unknown":
        flag, wanted, names = "--pool {}", submission.pool, [pool.name for pool in pools]
    else:
        names = [name for pool in pools if pool.name == submission.pool for name in pool.platforms]
        flag, wanted = "--gpu-platform {}", submission.gpu_platform
    return dataclasses.replace(problem, suggestions=suggest_names(flag, wanted, names, service.LIST_POOLS))


def _make_missing_key_problem(credential: OsmoCredential, keys: str) -> Problem:
    """Return the problem of a credential without the needed key. `keys`: a sentence on the keys it has."""
    title = f"the credential {credential.name} has no key {credential.key}"
    other = Suggestion(f"{credential.flag} {credential.name}:KEY", "uses another key")
    replacement = Suggestion(environment.make_credential_command(credential))
    return make_problem("osmo-credential-key", title, credential.flag, credential.name, keys, other, replacement)


LOCK_FILE = "osmo.sending"
SETTLE_SECONDS = 5.0
"""Time until OSMO lists a workflow whose answer was lost."""
PATIENCE_SECONDS = 330.0
POLL_SECONDS = 0.1


class SubmitInProgress(Unanswered):
    """Another command is submitting the workflow, so that the result is unknown."""

    def __init__(self) -> None:
        title = "an `osmo` command of an earlier submit is still running"
        super().__init__([make_problem("osmo-still-sending", title)])


@contextlib.contextmanager
def hold_submit_lock(run: str) -> Iterator[tuple[int, ...]]:
    """Hold the submit lock of a run. Yield its file descriptors, which child processes must inherit.

    There is none if the file system has no locks. Raise SubmitInProgress if another command holds it.
    """
    with contextlib.ExitStack() as stack:
        handles: tuple[int, ...] = ()
        with contextlib.suppress(OSError):
            _get_lock_path(run).parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(_get_lock_path(run), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            stack.callback(os.close, handle)
            if not lock_file(handle):
                raise SubmitInProgress
            handles = (handle,)
        try:
            yield handles
        finally:
            with contextlib.suppress(OSError):
                os.utime(_get_lock_path(run))  # nothing is sent after this time


def wait_for_submit(run: str) -> None:
    """Wait until no command can submit the run any more. Raise Rejected after PATIENCE_SECONDS."""
    until, is_printed = time.monotonic() + PATIENCE_SECONDS, False
    while is_locked(_get_lock_path(run)):
        if time.monotonic() > until:
            raise Rejected([_make_lock_problem(run)])
        if not is_printed:
            print("waiting for an `osmo` command of an earlier submit", file=sys.stderr)
            is_printed = True
        time.sleep(POLL_SECONDS)


def _get_settle_seconds(run: str) -> float:
    """Return the seconds until OSMO lists everything that was sent."""
    try:
        return max(0.0, _get_lock_path(run).stat().st_mtime + SETTLE_SECONDS - time.time())
    except OSError:
        return 0.0


def _get_lock_path(run: str) -> Path:
    return records.get_run_folder(run) / LOCK_FILE


def _make_lock_problem(run: str) -> Problem:
    title = "an `osmo` command of an earlier submit does not end"
    why = "While it runs, it may still submit the workflow."
    search = Suggestion("pgrep -af 'workflow submit'", "shows the command; end it if it hangs")
    retry = Suggestion("the same command", "after its end; it finds out what OSMO accepted")
    return make_problem("osmo-still-sending", title, "", run, why, search, retry)


NOTE = SubmitNote("osmo-sent.json", ("before", "workflow"), "OSMO", "workflow", "osmo-note-damaged")
"""`before`: ids of earlier workflows of the run; `workflow`: its own, once OSMO has reported it."""


def write_note(plan: Plan, before: Sequence[str], workflow: str = "") -> None:
    """Write the note, replacing an earlier one. Raise Rejected if that fails."""
    NOTE.write(plan, {"before": before, "workflow": workflow})


PAGE_SIZE = 200
SPEC_SECONDS = (0.0, 0.5, 1.5)
"""Delays of the attempts: OSMO stores the text of a workflow some time after accepting it."""
PLAN_MARK_PATTERN = r"ROBOTRAIN_PLAN:\s*['\"]?([0-9a-f]{16,64})"


def find_workflow(plan: Plan) -> Reference | None:
    """Return the workflow of an earlier submit of `plan`, or None if OSMO did not accept it.

    Raise Rejected if OSMO does not answer.
    """
    submission = pipeline_plan.load_submission(plan, Stage.SUBMIT)
    wait_for_submit(submission.run)
    note = NOTE.read(plan)
    if note is None:
        return None
    workflow = note["workflow"] or _find_new_workflow(submission, _read_plan_mark(plan), note["before"])
    return make_reference(plan, submission, workflow) if workflow else None


def list_workflow_ids(submission: OsmoSubmissionSpec) -> tuple[str, ...]:
    """Return the ids of this user's workflows of the run, the oldest first. Raise CommandFailed."""
    names = [
        str(row["name"])
        for row in _list_workflows(submission)
        if re.fullmatch(rf"{re.escape(submission.run)}-\d+", str(row.get("name")))
    ]
    return tuple(sorted(names, key=lambda name: int(name.rpartition("-")[2])))


def make_reference(plan: Plan, submission: OsmoSubmissionSpec, workflow: str) -> Reference:
    """Return the reference of a workflow for the run's record."""
    shared = {"workflow": workflow, "cli": submission.cli, "server": submission.server, "run": submission.run}
    if not pipeline_plan.is_pipeline(plan):
        return {**shared, "task": submission.task, "publishes": submission.get_publish_url(workflow)}
    parts = zip(submission.list_tasks(), pipeline_plan.list_parts(plan, Stage.SUBMIT), strict=True)
    return shared | pipeline_steps.make_reference({name: own.get_publish_url(workflow) for name, (_, own) in parts})


def _find_new_workflow(submission: OsmoSubmissionSpec, mark: str, before: Sequence[str]) -> str | None:
    """Return the id of the new workflow, looking again after a pause because OSMO lists it with a delay."""
    workflow = _find_workflow_of_plan(submission, mark, before)
    if workflow is None and (pause := _get_settle_seconds(submission.run)):
        time.sleep(pause)
        workflow = _find_workflow_of_plan(submission, mark, before)
    return workflow


def _find_workflow_of_plan(submission: OsmoSubmissionSpec, mark: str, before: Sequence[str]) -> str | None:
    """Return the id of the workflow with the mark, else of the only one whose text is not visible, or None.

    Raise Rejected if there are several of those.
    """
    names = [name for name in list_workflow_ids(submission) if name not in before]
    has_mark = {name: _has_plan_mark(submission.cli, name, mark) for name in names}
    ours = [name for name in names if has_mark[name]]
    unknown = [name for name in names if has_mark[name] is None]
    if not ours and len(unknown) > 1:
        raise Rejected([_make_ambiguous_problem(submission.run, unknown)])
    return next(iter(ours or unknown), None)


def _list_workflows(submission: OsmoSubmissionSpec) -> list[Mapping[str, Any]]:
    """Return all workflows whose name contains the run's. An answer shorter than requested is complete."""
    count = PAGE_SIZE
    while True:
        words = ("workflow", "list", "-n", submission.run, "-c", str(count), "-t", "json")
        answer = service.query_json(submission.cli, *words)
        rows = as_mapping(answer).get("workflows")
        if not isinstance(rows, list):  # a missing list is not an empty one
            raise CommandFailed(failures.INVALID_JSON)
        if len(rows) < count:
            return as_mappings(rows)
        count *= 10


def _has_plan_mark(cli: str, workflow: str, mark: str) -> bool | None:
    """Return whether a workflow contains the mark, or None if its text is not visible."""
    if not mark:
        return None
    text = next(_query_spec_texts(cli, workflow), "")
    return mark in text if re.search(PLAN_MARK_PATTERN, text) else None


def _query_spec_texts(cli: str, workflow: str) -> Iterator[str]:
    """Yield the text of a workflow once it is stored. Raise CommandFailed if OSMO is unreachable."""
    for pause in SPEC_SECONDS:
        time.sleep(pause)
        try:
            yield service.query_text(cli, "workflow", "spec", workflow)
        except CommandFailed as error:
            if error.failure.code in UNREACHABLE_CODES:
                raise


def _read_plan_mark(plan: Plan) -> str:
    """Return the plan's digest in the workflow's environment, or ""."""
    match = re.search(PLAN_MARK_PATTERN, plan.files[plan.spec].decode("utf-8", "replace"))
    return match[1] if match else ""


def _make_ambiguous_problem(run: str, names: list[str]) -> Problem:
    title = f"OSMO has several workflows of {run} and does not show their content"
    query = Suggestion(f"osmo workflow query {names[-1]}", "shows one")
    cancel = Suggestion(f"osmo workflow cancel {names[-1]}", "ends one")
    new = Suggestion("--new", "starts a new run")
    return make_problem("osmo-several-workflows", title, "", ", ".join(names), "", query, cancel, new)
