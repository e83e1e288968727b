"""Stopping a job: an answer alone is not its end, so it is looked at until it has ended."""

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
"""Until it has ended: a machine has to hear of it, and may save what it has."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0
DECLINED_STATUSES = (400, 409)
"""What Azure answers where there is nothing to cancel, or not now."""


def cancel_job(reference: Reference) -> None:
    """End it and return when it has ended; one that ended already is left as it is. Raises RunGone, Rejected."""
    if _has_ended(reference):
        return
    at, name = jobs.get_run_workspace(reference), reference["job"]
    refused = ""
    try:
        jobs.request_cancel(jobs.get_client(), at, name)
    except ArmError as error:
        if error.status not in DECLINED_STATUSES:
            raise errors.make_rejection(error, at, f"cancel the job {name}") from None
        refused = str(error)  # it may have ended meanwhile
    if not _wait_until_ended(reference, 0.0 if refused else CANCEL_SECONDS):
        raise Rejected([_make_declined_problem(reference, refused) if refused else _make_pending_problem(reference)])


def _wait_until_ended(reference: Reference, seconds: float) -> bool:
    """Whether it does within so many seconds; what passes by itself is no news meanwhile."""
    until, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        try:
            if _has_ended(reference):
                return True
        except RequestRejected as refused:
            if not refused.transient:
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
        suggestions=(Suggestion(f"robotrain status {reference.get('run', '')}".rstrip(), "how it is"),),
    )


def _make_pending_problem(reference: Reference) -> Problem:
    run = reference.get("run", "")
    return Problem(
        code="cancel-pending",
        stage=Stage.SUBMIT,
        title=f"Azure ML took the request, and {reference['job']} had not ended {CANCEL_SECONDS:g} s later",
        why="It ends when its machine hears of it; a machine that is lost is given up after a while.",
        suggestions=(Suggestion(f"robotrain wait {run}".rstrip(), "waits for its end"),),
    )
