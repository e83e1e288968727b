"""Stopping a job: an answer alone is not its end, so it is looked at until it has ended."""

import time

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.redaction import redact
from robotrain.run import Reference
from robotrain_azure.arm import ArmError

from robotrain_azureml.service import jobs, refusals
from robotrain_azureml.service.refusals import Refused
from robotrain_azureml.watch import status_asked

SECONDS = 60.0
"""Until it has ended: a machine has to hear of it, and may save what it has."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0
DECLINED = (400, 409)
"""What Azure answers where there is nothing to cancel, or not now."""


def cancel(reference: Reference) -> None:
    """End it and return when it has ended; one that ended already is left as it is. Raises RunGone, Rejected."""
    if _has_ended(reference):
        return
    at, name = jobs.workspace_of(reference), reference["job"]
    refused = ""
    try:
        jobs.cancel(jobs.signed_in(), at, name)
    except ArmError as error:
        if error.status not in DECLINED:
            raise refusals.of(error, at, f"cancel the job {name}") from None
        refused = str(error)  # it may have ended meanwhile
    if not _ends(reference, 0.0 if refused else SECONDS):
        raise Rejected([_declined(reference, refused) if refused else _pending(reference)])


def _ends(reference: Reference, seconds: float) -> bool:
    """Whether it does within so many seconds; what passes by itself is no news meanwhile."""
    until, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        try:
            if _has_ended(reference):
                return True
        except Refused as refused:
            if not refused.passing:
                raise
        if time.monotonic() >= until:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _has_ended(reference: Reference) -> bool:
    return status_asked.ask(reference)[0].finished


def _declined(reference: Reference, said: str) -> Problem:
    return Problem(
        code="cancel-refused",
        stage=Stage.SUBMIT,
        title=f"Azure ML did not cancel {reference['job']}",
        why=f"{redact(said, longest=500).rstrip('.')}.",
        instead=(Instead(f"robotrain status {reference.get('run', '')}".rstrip(), "how it is"),),
    )


def _pending(reference: Reference) -> Problem:
    run = reference.get("run", "")
    return Problem(
        code="cancel-pending",
        stage=Stage.SUBMIT,
        title=f"Azure ML took the request, and {reference['job']} had not ended {SECONDS:g} s later",
        why="It ends when its machine hears of it; a machine that is lost is given up after a while.",
        instead=(Instead(f"robotrain wait {run}".rstrip(), "waits for its end"),),
    )
