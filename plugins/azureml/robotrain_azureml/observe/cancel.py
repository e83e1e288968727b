"""Cancellation of a job: the request alone is not its end, so wait until the job has ended."""

import time

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.run import Reference
from robotrain.redaction import redact
from robotrain_azure.arm import ArmError

from robotrain_azureml import errors
from robotrain_azureml.errors import RequestRejected
from robotrain_azureml.observe import job_state
from robotrain_azureml.service import jobs

CANCEL_SECONDS = 60.0
"""How long the end is waited for: the machine must react and may save its state."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0
DECLINED_STATUSES = (400, 409)
"""Answers if there is nothing to cancel."""


def cancel_job(reference: Reference) -> None:
    """End a job and return when it has ended; one that has ended is unchanged. Raises RunGone, Rejected."""
    if _has_ended(reference):
        return
    workspace, name = jobs.get_run_workspace(reference), reference["job"]
    reason = ""
    try:
        jobs.request_cancel(jobs.get_client(), workspace, name)
    except ArmError as error:
        if error.status not in DECLINED_STATUSES:
            raise errors.make_rejection(error, workspace, f"cancel the job {name}") from None
        reason = str(error)  # it may have ended meanwhile
    if not _wait_until_ended(reference, 0.0 if reason else CANCEL_SECONDS):
        raise Rejected([_make_declined_problem(reference, reason) if reason else _make_pending_problem(reference)])


def _wait_until_ended(reference: Reference, seconds: float) -> bool:
    """Return whether the job ends in time; transient errors are ignored."""
    until, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        try:
            if _has_ended(reference):
                return True
        except RequestRejected as rejected:
            if not rejected.transient:
                raise
        if time.monotonic() >= until:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _has_ended(reference: Reference) -> bool:
    return job_state.query_job(reference)[0].is_finished


def _make_declined_problem(reference: Reference, reason: str) -> Problem:
    return Problem(
        code="cancel-refused",
        stage=Stage.SUBMIT,
        title=f"Azure ML did not cancel {reference['job']}",
        why=f"{redact(reason, max_length=500).rstrip('.')}.",
        suggestions=(Suggestion(f"robotrain status {reference.get('run', '')}".rstrip(), "shows its state"),),
    )


def _make_pending_problem(reference: Reference) -> Problem:
    run = reference.get("run", "")
    return Problem(
        code="cancel-pending",
        stage=Stage.SUBMIT,
        title=f"Azure ML accepted the request, but {reference['job']} has not ended after {CANCEL_SECONDS:g} s",
        why="It ends when its machine reacts; a lost machine is given up after a while.",
        suggestions=(Suggestion(f"robotrain wait {run}".rstrip(), "waits for its end"),),
    )
