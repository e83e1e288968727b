"""Submit a workflow exactly once, after its inputs are uploaded."""

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from robotrain.errors import Problem, Rejected, Stage, Unanswered
from robotrain.model.plan import Plan
from robotrain.model.run import Reference
from robotrain.redaction import redact

from robotrain_osmo import errors
from robotrain_osmo.client import service
from robotrain_osmo.client.command import OsmoCommandResult
from robotrain_osmo.client.failures import CommandFailed, CommandFailure
from robotrain_osmo.errors import suggest_names
from robotrain_osmo.spec import submission_spec
from robotrain_osmo.spec.submission_spec import OsmoSubmissionSpec
from robotrain_osmo.submit import reconcile, upload

QUERY_SECONDS = 15.0


def explain_refusal(failure: CommandFailure, order: OsmoSubmissionSpec) -> Problem:
    """The refusal of a submit, for the person who asked. OSMO is asked what there is."""
    problem = failure.to_problem()
    wanted = next((one for one in order.credentials if one.name == failure.name), None)
    if failure.code == "osmo-credential-missing" and wanted:
        return errors.make_missing_credential_problem(wanted, Stage.SUBMIT)
    keyed = next((one for one in order.credentials if one.key == failure.name), None)
    if failure.code == "osmo-credential-key" and keyed:
        return errors.make_missing_key_problem(keyed, Stage.SUBMIT, failure.why)
    if failure.code not in ("osmo-pool-unknown", "osmo-platform-unknown"):
        return problem
    try:
        there = service.list_pools(order.cli, QUERY_SECONDS, Stage.SUBMIT)
    except CommandFailed:
        return problem
    if failure.code == "osmo-pool-unknown":
        return dataclasses.replace(
            problem, suggestions=(*suggest_names("--pool", order.pool, [one.name for one in there]),)
        )
    names = [name for pool in there if pool.name == order.pool for name in pool.platforms]
    return dataclasses.replace(problem, suggestions=(*suggest_names("--gpu-platform", order.gpu_platform, names),))


SUBMIT_SECONDS = 300.0
"""For OSMO to take a workflow: its own requests have a minute each, and it makes two."""
TEMPORARY_FILE = "workflow.yaml"
"""A name that ends in `-1` would be taken for that of a workflow."""


def submit_plan(plan: Plan) -> Reference:
    """Upload and submit. Raises Rejected when OSMO refused and nothing runs; Unanswered, StillSending when
    that is not known.
    """
    order = submission_spec.load_submission_spec(plan, Stage.SUBMIT)
    upload.upload_folders(plan, order)
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        file = Path(folder) / TEMPORARY_FILE
        file.write_bytes(plan.files[plan.spec])
        with reconcile.hold_submit_lock(order.run) as holding:
            before = reconcile.list_workflow_ids(order)
            reconcile.write_note(plan, before)
            answer, refusal = _submit_workflow(order, file, holding)
    if refusal is not None:
        return _handle_failure(plan, order, refusal)
    workflow = _read_workflow_id(answer)
    with contextlib.suppress(Rejected):  # then it is looked for among what is new
        reconcile.write_note(plan, before, workflow)
    return reconcile.make_reference(order, workflow)


def _submit_workflow(
    order: OsmoSubmissionSpec, file: Path, pass_fds: Sequence[int]
) -> tuple[OsmoCommandResult, CommandFailure | None]:
    """The answer, and why not."""
    priority = ("--priority", order.priority) if order.priority else ()
    words = ("workflow", "submit", str(file), "-t", "json", "-p", order.pool, *priority)
    return service.call_with_retries(order.cli, *words, seconds=SUBMIT_SECONDS, pass_fds=pass_fds)


def _handle_failure(plan: Plan, order: OsmoSubmissionSpec, failure: CommandFailure) -> Reference:
    """The workflow, when it was taken all the same. Raises Rejected, Unanswered."""
    if failure.certain:
        with contextlib.suppress(OSError):
            reconcile.delete_note(plan)
        raise Rejected([explain_refusal(failure, order)])
    try:
        found = reconcile.find_workflow(plan)
    except Rejected:
        found = None
    if found is None:
        raise Unanswered([failure.to_problem()])
    print(f"{failure.title}; it took {found['workflow']} all the same", file=sys.stderr)
    return found


def _read_workflow_id(answer: OsmoCommandResult) -> str:
    """The workflow's id; warnings are passed on. Raises Unanswered when the answer has none."""
    try:
        told = answer.parse_json()
        name = told["name"]
    except (ValueError, KeyError, TypeError):
        raise Unanswered([_make_missing_id_problem()]) from None
    warnings = told.get("warnings")
    for warning in warnings if isinstance(warnings, list) else []:
        print(f"OSMO warns: {redact(str(warning))}", file=sys.stderr)
    if not isinstance(name, str) or not name:
        raise Unanswered([_make_missing_id_problem()])
    return name


def _make_missing_id_problem() -> Problem:
    return Problem(code="osmo-unanswered", stage=Stage.SUBMIT, title="OSMO's answer names no workflow")
