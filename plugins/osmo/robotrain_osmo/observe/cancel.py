"""Cancel a workflow. The command reports success even if OSMO refused, so the state is queried again."""

import time

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.run import Reference
from robotrain.redaction import redact

from robotrain_osmo.client import service
from robotrain_osmo.observe import workflow_state

CANCEL_MESSAGE = "robotrain cancel"
SECONDS = 30.0
"""Time limit for the end: OSMO cancels later, from a queue."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0


def cancel_workflow(reference: Reference) -> None:
    """Cancel the workflow and wait for its end; do nothing if it has ended. Raise RunGone or Rejected."""
    if workflow_state.query_workflow(reference).is_finished:
        return
    words = ("workflow", "cancel", reference["workflow"], "-m", CANCEL_MESSAGE, "-t", "json")
    reason = _read_refusal(service.query_text(workflow_state.get_command(reference), *words))
    if not _wait_until_ended(reference, 0.0 if reason else SECONDS):
        raise Rejected([_make_refused_problem(reference, reason) if reason else _make_pending_problem(reference)])


def _read_refusal(output: str) -> str:
    """Return why OSMO refused to cancel, or ""."""
    reason = output.partition("cancelation failed for workflow")[2].partition(":")[2]
    return " ".join(reason.split()) or ("" if '"name"' in output else " ".join(output.split()) or "OSMO gave no reason")


def _wait_until_ended(reference: Reference, seconds: float) -> bool:
    until, pause = time.monotonic() + seconds, FIRST_PAUSE
    while not workflow_state.query_workflow(reference).is_finished:
        if time.monotonic() >= until:
            return False
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    return True


def _make_refused_problem(reference: Reference, reason: str) -> Problem:
    return Problem(
        code="cancel-refused",
        stage=Stage.SUBMIT,
        title=f"OSMO did not cancel {reference['workflow']}",
        why=f"{redact(reason, max_length=500).rstrip('.')}.",
        suggestions=(Suggestion(f"osmo workflow cancel {reference['workflow']} --force", "if its cluster is gone"),),
    )


def _make_pending_problem(reference: Reference) -> Problem:
    run = reference.get("run", "")
    return Problem(
        code="cancel-pending",
        stage=Stage.SUBMIT,
        title=f"OSMO accepted the request, but {reference['workflow']} had not ended {SECONDS:g} s later",
        suggestions=(
            Suggestion(f"robotrain wait {run}", "waits for its end"),
            Suggestion(f"osmo workflow cancel {reference['workflow']} --force", "if its cluster is gone"),
        ),
    )
