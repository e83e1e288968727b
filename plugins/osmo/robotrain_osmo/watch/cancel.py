"""Stopping a workflow. The command ends well also when it was refused, so that only another look tells."""

import time

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.redaction import redact
from robotrain.run import Reference

from robotrain_osmo.cli import asking
from robotrain_osmo.watch import status_asked

MESSAGE = "robotrain cancel"
SECONDS = 30.0
"""Until it has ended: OSMO does it later, from a queue of its own."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0


def cancel(reference: Reference) -> None:
    """End it and return when it has ended; one that ended already is left as it is. Raises RunGone, Rejected."""
    if status_asked.ask(reference).finished:
        return
    words = ("workflow", "cancel", reference["workflow"], "-m", MESSAGE, "-t", "json")
    refused = _refusal(asking.said(status_asked.cli(reference), *words))
    if not _ended(reference, 0.0 if refused else SECONDS):
        raise Rejected([_refused(reference, refused) if refused else _pending(reference)])


def _refusal(said: str) -> str:
    """Why OSMO did not take it; empty when it did."""
    found = said.partition("cancelation failed for workflow")[2].partition(":")[2]
    return " ".join(found.split()) or ("" if '"name"' in said else " ".join(said.split()) or "it said nothing")


def _ended(reference: Reference, seconds: float) -> bool:
    until, pause = time.monotonic() + seconds, FIRST_PAUSE
    while not status_asked.ask(reference).finished:
        if time.monotonic() >= until:
            return False
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    return True


def _refused(reference: Reference, said: str) -> Problem:
    return Problem(
        code="cancel-refused",
        stage=Stage.SUBMIT,
        title=f"OSMO did not cancel {reference['workflow']}",
        why=f"{redact(said, longest=500).rstrip('.')}.",
        instead=(Instead(f"osmo workflow cancel {reference['workflow']} --force", "when its cluster is gone"),),
    )


def _pending(reference: Reference) -> Problem:
    run = reference.get("run", "")
    return Problem(
        code="cancel-pending",
        stage=Stage.SUBMIT,
        title=f"OSMO took the request, and {reference['workflow']} had not ended {SECONDS:g} s later",
        instead=(
            Instead(f"robotrain wait {run}", "waits for its end"),
            Instead(f"osmo workflow cancel {reference['workflow']} --force", "when its cluster is gone"),
        ),
    )
