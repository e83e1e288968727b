"""Submit a workflow exactly once, after its inputs are uploaded, and find the workflow of an interrupted submit.

A lock tells whether a command may still submit the run. A mark, which OSMO keeps in the environment of the tasks, and a
note of it identify the submit: an equal job of another state folder has the same name and text.
"""

import contextlib
import dataclasses
import fcntl
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain.cluster.answers import as_mapping, as_mappings, as_text
from robotrain.cluster.outputs import print_progress
from robotrain.cluster.submit_note import SubmitNote
from robotrain.errors import Rejected, Stage, Unanswered
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.model.reference import Reference
from robotrain.redaction import redact
from robotrain.store import records
from robotrain_runtime.contract.files import is_locked, lock_file

from robotrain_osmo.client import failures, service
from robotrain_osmo.client.failures import UNREACHABLE_CODES, CommandFailed, CommandFailure
from robotrain_osmo.observe import pipeline_steps, workflow_state
from robotrain_osmo.observe.workflow_state import WorkflowState
from robotrain_osmo.spec import node_names, submission_spec
from robotrain_osmo.spec.submission_spec import WORKFLOW_ID, OsmoSubmissionSpec
from robotrain_osmo.submit import upload

make_problem = Messages(__file__)

SUBMIT_SECONDS = 300.0
"""The command makes two requests, each of which it gives up after `service.REQUEST_SECONDS`."""
TEMPORARY_FILE = "workflow.yaml"
"""OSMO would take a name that ends in `-1` for a workflow's id."""
NOTE = SubmitNote("osmo-sent.json", ("mark", "before", "active", "workflow"), "OSMO", "workflow")
"""`mark`: that of this submit; `before`: ids of the workflows of the run that were there before it; `active`: those
before its own that had not ended, None until they are listed; `workflow`: its own, once it is known.
"""
SUBMIT_VARIABLE = "ROBOTRAIN_SUBMIT"


def submit_plan(plan: Plan) -> Reference:
    """Upload the inputs and submit the workflow.

    Raise Rejected if OSMO refused and nothing runs, Unanswered if that is unknown.
    """
    submission = submission_spec.load_submission(plan, Stage.SUBMIT)
    for part, part_submission in submission_spec.list_parts(plan, Stage.SUBMIT):
        upload.upload_folders(part, part_submission)
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        file = Path(folder) / TEMPORARY_FILE
        file.write_bytes(plan.files[plan.spec])
        priority = ("--priority", submission.priority) if submission.priority else ()
        mark = secrets.token_hex(16)
        variable = ("--set-env", f"{SUBMIT_VARIABLE}={mark}")  # several values follow it: the file stands before
        words = ("workflow", "submit", str(file), *variable, "-t", "json", "-p", submission.pool, *priority)
        with hold_lock(submission.run) as handles:
            earlier_workflows = _list_workflows(submission)
            NOTE.write(plan, {"mark": mark, "before": [*earlier_workflows], "active": None, "workflow": ""})
            start_time = time.monotonic()
            result, failure = service.call_command(
                submission.cli, *words, seconds=SUBMIT_SECONDS, report=print_progress, pass_fds=handles
            )
    if failure is not None:
        return _handle_failure(plan, failure, time.monotonic() - start_time)
    try:
        submit_answer = as_mapping(result.parse_json())
    except ValueError:
        submit_answer = {}
    warnings = submit_answer.get("warnings")
    for warning in warnings if isinstance(warnings, list) else ():
        print(f"OSMO warns: {redact(str(warning))}", file=sys.stderr)
    workflow = as_text(submit_answer.get("name"))
    if not workflow:
        raise Unanswered([make_problem("submit-unsure")])
    _note_workflow(plan, submission, workflow)
    return make_reference(plan, submission, workflow)


def _note_workflow(plan: Plan, submission: OsmoSubmissionSpec, workflow: str) -> None:
    """Note the workflow of a plan, and those that OSMO accepted before: another machine may submit at the same moment.

    OSMO numbers them, so of two machines the second one, and only it, is warned.
    """
    with contextlib.suppress(Rejected, ValueError):  # without the note, the workflow is found by its mark
        note = NOTE.read(plan) or {}
        NOTE.write(plan, {**note, "workflow": workflow})
        workflows = _list_workflows(submission, seconds=QUERY_SECONDS)
        active_names = [name for name, state in workflows.items() if not state.is_finished]
        earlier_names = [name for name in active_names if _get_number(name) < _get_number(workflow)]
        NOTE.write(plan, {**note, "workflow": workflow, "active": earlier_names})


def list_workflows_beside(plan: Plan) -> Sequence[str]:
    """Return the workflows of the plan's name that OSMO had before its own and that had not ended. Raise Rejected."""
    note = NOTE.read(plan)
    return (note and note["active"]) or ()


LOCK_FILE = "osmo.sending"
"""The file in a run's state folder that the command of its submit locks, and inherits: it may outlive robotrain.

It contains the time at which robotrain saw the command's end; it is empty until then.
"""
PATIENCE_SECONDS = 330.0
"""How long `wait_for_lock` waits for a command of an earlier submit."""


@contextlib.contextmanager
def hold_lock(run: str) -> Iterator[tuple[int, ...]]:
    """Hold the lock of a run. Yield the file descriptors that the command must inherit.

    There is none if the file system has no locks. Raise Unanswered if another command holds it.
    """
    path = records.get_run_folder(run) / LOCK_FILE
    with contextlib.ExitStack() as stack:
        handles: tuple[int, ...] = ()
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("ab"))
            if not lock_file(file.fileno()):
                raise Unanswered([make_problem("submit-still-sending.running", given=run)])
            handles = (file.fileno(),)
        with contextlib.suppress(OSError):
            path.write_text("")
        try:
            yield handles
        finally:
            with contextlib.suppress(OSError):
                path.write_text(str(time.time()))


def wait_for_lock(run: str) -> None:
    """Wait until no command can submit the run any more, and note an end that was not seen before.

    Raise Rejected after PATIENCE_SECONDS.
    """
    path = records.get_run_folder(run) / LOCK_FILE
    must_wait = is_locked(path)
    if must_wait is None:
        return
    if must_wait:
        print("waiting for an `osmo` command of an earlier submit", file=sys.stderr)
    with path.open("rb") as file:
        if not lock_file(file.fileno(), fcntl.LOCK_SH, PATIENCE_SECONDS):
            raise Rejected([make_problem("submit-still-sending.without-end", given=run)])
        with contextlib.suppress(OSError):  # a noted end may be that of robotrain, which the command outlived
            if must_wait or not file.read():
                path.write_text(str(time.time()))


def _get_settle_end(run: str, tasks: int) -> float:
    """Return until when OSMO may not list yet what was submitted: some time after the command's end, or after now if
    nobody saw that.
    """
    now = time.time()
    try:
        end_time = min(float((records.get_run_folder(run) / LOCK_FILE).read_text()), now)
    except OSError:
        return 0.0  # nothing was sent
    except ValueError:
        end_time = now
    return end_time + SETTLE_SECONDS * tasks


def _handle_failure(plan: Plan, failure: CommandFailure, seconds: float) -> Reference:
    """Return the workflow if OSMO accepted it despite the failure. Raise Rejected or Unanswered.

    :param seconds: how long the submit took. A slow service stores a workflow after the command has given up (that of
        many nodes in minutes), so it is looked for as long again.
    """
    if failure.certain:
        NOTE.delete(plan)
        problem = failure.to_problem()
        is_away = failure.code == "platform-away"
        raise Rejected([dataclasses.replace(problem, why="Nothing was sent.") if is_away else problem])
    reference, end = None, time.monotonic() + seconds
    if seconds >= SLOW_SECONDS:
        progress_text = (
            f"{failure.title} after {seconds:.0f} s: looking for the workflow, which a slow service stores later"
        )
        print(progress_text, file=sys.stderr)
    while reference is None:
        with contextlib.suppress(Rejected):
            reference = find_workflow(plan)
        if time.monotonic() >= end:
            break
        if reference is None:
            time.sleep(min(SETTLE_SECONDS, seconds))
    if reference is None:
        raise Unanswered([failure.to_problem()])
    print(f"{failure.title}, but accepted {reference['workflow']}", file=sys.stderr)
    return reference


QUERY_SECONDS = 15.0
SLOW_SECONDS = 10.0
"""A submit that takes longer is that of a slow service."""


SETTLE_SECONDS = 5.0
"""Time for each task until OSMO lists a workflow whose answer was lost: it stores one of 20 nodes in some 100 s."""
PAGE_SIZE = 200
SPEC_SECONDS = (0.0, 0.5, 1.5)
"""Delays of the attempts: OSMO stores the text of a workflow some time after accepting it."""


def find_workflow(plan: Plan) -> Reference | None:
    """Return the workflow of an earlier submit of `plan`, or None if OSMO did not accept it.

    Raise Rejected if OSMO does not answer.
    """
    submission = submission_spec.load_submission(plan, Stage.SUBMIT)
    wait_for_lock(submission.run)
    note = NOTE.read(plan)
    if note is None:
        return None
    if workflow := note["workflow"]:
        if note["active"] is None:
            _note_workflow(plan, submission, workflow)
        return make_reference(plan, submission, workflow)
    tasks = sum(part_submission.nodes or 1 for _, part_submission in submission_spec.list_parts(plan, Stage.SUBMIT))
    end = _get_settle_end(submission.run, tasks)
    workflow, unknown_names = _find_marked_workflow(submission, note)
    if not workflow and (seconds_left := end - time.time()) > SLOW_SECONDS:
        print(f"looking for the workflow for up to {seconds_left:.0f} s: OSMO may list it late", file=sys.stderr)
    while not workflow and (seconds_left := end - time.time()) > 0:
        time.sleep(min(seconds_left, SETTLE_SECONDS))
        workflow, unknown_names = _find_marked_workflow(submission, note)
    if workflow:
        _note_workflow(plan, submission, workflow)
        return make_reference(plan, submission, workflow)
    if unknown_names:
        names, newest_name = ", ".join(unknown_names), unknown_names[-1]
        raise Rejected([make_problem("osmo-unseen-workflow", given=names, run=submission.run, unknown=newest_name)])
    return None


def _list_workflows(submission: OsmoSubmissionSpec, **options: Any) -> dict[str, WorkflowState]:
    """Return this user's workflows of the run by id, the oldest first. Raise CommandFailed.

    OSMO lists those whose name contains the run's; an answer shorter than requested is complete. `options`: as for
    `service.query_json`.
    """
    count = PAGE_SIZE
    while True:
        words = ("workflow", "list", "-n", submission.run, "-c", str(count), "-t", "json")
        rows = as_mapping(service.query_json(submission.cli, *words, **options)).get("workflows")
        if not isinstance(rows, list):  # a missing list is not an empty one
            raise CommandFailed(failures.INVALID_JSON)
        if len(rows) < count:
            break
        count *= 10
    workflows = map(workflow_state.parse_workflow, as_mappings(rows))
    workflow_by_name = {
        workflow.name: workflow
        for workflow in workflows
        if re.fullmatch(rf"{re.escape(submission.run)}-\d+", workflow.name)
    }
    return {name: workflow_by_name[name] for name in sorted(workflow_by_name, key=_get_number)}


def _get_number(workflow: str) -> int:
    """Return the number of a workflow in its id: OSMO counts those of a name."""
    return int(workflow.rpartition("-")[2])


def make_reference(plan: Plan, submission: OsmoSubmissionSpec, workflow: str) -> Reference:
    """Return the reference of a workflow for the run's record."""
    if not submission_spec.is_pipeline(plan):
        return make_job_reference(submission, workflow)
    parts = [part for _, part in submission_spec.list_parts(plan, Stage.SUBMIT)]
    tasks = {part.task: node_names.list_node_names(part.task, part.nodes) for part in parts}
    return _share_reference(submission, workflow) | pipeline_steps.make_reference(
        {part.task: part.get_publish_url(workflow) for part in parts}, tasks
    )


def make_job_reference(submission: OsmoSubmissionSpec, workflow: str) -> Reference:
    """Return the reference of the workflow of one job."""
    task_fields = {"task": submission.task, "publishes": submission.get_publish_url(workflow)}
    optional_fields = {
        "dataset": submission.dataset.replace(WORKFLOW_ID, workflow),
        pipeline_steps.TASKS_KEY: ",".join(node_names.list_node_names(submission.task, submission.nodes)),
    }
    filled_fields = {name: field_value for name, field_value in optional_fields.items() if field_value}
    return {**_share_reference(submission, workflow), **task_fields, **filled_fields}


def _share_reference(submission: OsmoSubmissionSpec, workflow: str) -> dict[str, str]:
    return {"workflow": workflow, "cli": submission.cli, "server": submission.server, "run": submission.run}


def _find_marked_workflow(submission: OsmoSubmissionSpec, note: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the id of the workflow with the mark of a submit, or "", and those whose text is not visible."""
    unknown_names = list[str]()
    for name in _list_workflows(submission):
        has_mark = name not in note["before"] and _has_mark(submission.cli, name, note["mark"])
        if has_mark:
            return name, []  # the texts of the others cost the service a second each
        if has_mark is None:
            unknown_names.append(name)
    return "", unknown_names


def _has_mark(cli: str, workflow: str, mark: str) -> bool | None:
    """Return whether a workflow contains the mark, or None if its text is not visible.

    Raise CommandFailed if OSMO is unreachable.
    """
    for pause in SPEC_SECONDS:
        time.sleep(pause)
        try:
            spec_text = service.query_text(cli, "workflow", "spec", workflow)
            return mark in spec_text if SUBMIT_VARIABLE in spec_text else None
        except CommandFailed as error:
            if error.failure.code in UNREACHABLE_CODES:
                raise
    return None
