"""Submit a workflow exactly once, after its inputs are uploaded."""

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from robotrain.cluster.problems import make_submit_problem, suggest_names
from robotrain.errors import Problem, Rejected, Stage, Suggestion, Unanswered
from robotrain.model.plan import Plan
from robotrain.model.run import Reference
from robotrain.redaction import redact

from robotrain_osmo.client import service
from robotrain_osmo.client.command import OsmoCommandResult
from robotrain_osmo.client.failures import CommandFailed, CommandFailure
from robotrain_osmo.spec import environment, submission_spec
from robotrain_osmo.spec.submission_spec import OsmoCredential, OsmoSubmissionSpec
from robotrain_osmo.submit import reconcile, upload

QUERY_SECONDS = 15.0


def explain_refusal(failure: CommandFailure, submission: OsmoSubmissionSpec) -> Problem:
    """Return the problem of a refused submit, suggesting the pools or platforms that OSMO lists."""
    problem = failure.to_problem()
    for credential in submission.credentials:
        if failure.code == "osmo-credential-missing" and credential.name == failure.name:
            return environment.make_missing_credential_problem(credential, Stage.SUBMIT)
        if failure.code == "osmo-credential-key" and credential.key == failure.name:
            return _make_missing_key_problem(credential, failure.why)
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
    return make_submit_problem("osmo-credential-key", title, credential.flag, credential.name, keys, other, replacement)


SUBMIT_SECONDS = 300.0
"""OSMO makes two requests of at most a minute each."""
TEMPORARY_FILE = "workflow.yaml"
"""OSMO would take a name that ends in `-1` for a workflow's id."""


def submit_plan(plan: Plan) -> Reference:
    """Upload the inputs and submit the workflow.

    Raise Rejected if OSMO refused and nothing runs, Unanswered if that is unknown.
    """
    submission = submission_spec.SUBMISSION.load(plan, Stage.SUBMIT)
    upload.upload_folders(plan, submission)
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        file = Path(folder) / TEMPORARY_FILE
        file.write_bytes(plan.files[plan.spec])
        with reconcile.hold_submit_lock(submission.run) as pass_fds:
            before = reconcile.list_workflow_ids(submission)
            reconcile.write_note(plan, before)
            result, failure = _submit_workflow(submission, file, pass_fds)
    if failure is not None:
        return _handle_failure(plan, submission, failure)
    workflow = _read_workflow_id(result)
    with contextlib.suppress(Rejected):  # without it, the workflow is found among the new ones
        reconcile.write_note(plan, before, workflow)
    return reconcile.make_reference(submission, workflow)


def _submit_workflow(
    submission: OsmoSubmissionSpec, file: Path, pass_fds: Sequence[int]
) -> tuple[OsmoCommandResult, CommandFailure | None]:
    priority = ("--priority", submission.priority) if submission.priority else ()
    words = ("workflow", "submit", str(file), "-t", "json", "-p", submission.pool, *priority)
    return service.call_with_retries(submission.cli, *words, seconds=SUBMIT_SECONDS, pass_fds=pass_fds)


def _handle_failure(plan: Plan, submission: OsmoSubmissionSpec, failure: CommandFailure) -> Reference:
    """Return the workflow if OSMO accepted it despite the failure. Raise Rejected or Unanswered."""
    if failure.certain:
        with contextlib.suppress(OSError):
            reconcile.NOTE.delete(plan)
        raise Rejected([explain_refusal(failure, submission)])
    try:
        reference = reconcile.find_workflow(plan)
    except Rejected:
        reference = None
    if reference is None:
        raise Unanswered([failure.to_problem()])
    print(f"{failure.title}, but accepted {reference['workflow']}", file=sys.stderr)
    return reference


def _read_workflow_id(result: OsmoCommandResult) -> str:
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
    return make_submit_problem("osmo-unanswered", "OSMO's answer contains no workflow id")
