"""How a workflow is: asked once; of one that failed by itself, the end of its log says why, of one that waits for long
its events.
"""

from robotrain.problem import Rejected
from robotrain.run import Reference, Status

from robotrain_osmo.watch import events, logs, reasons, status_asked
from robotrain_osmo.watch.states import Workflow


def status(reference: Reference) -> Status:
    """The state, and why. Raises RunGone, Rejected."""
    told = status_asked.ask(reference)
    return Status(
        state=told.state,
        reason=_reason(reference, told),
        exit_code=told.exit_code if told.finished else None,
        started=told.started,
        ended=told.ended if told.finished else None,
    )


def _reason(reference: Reference, told: Workflow) -> str:
    if not told.finished:
        stuck = told.state == "pending" and (told.queued or 0.0) >= events.WAITED
        return reasons.waiting(told, events.telling(reference) if stuck else "")
    if told.state == "succeeded":
        return ""
    if told.state == "cancelled":
        return reasons.cancelled(told)
    own = _own_word(reference, told) if reasons.is_own(told) else ""
    return own or reasons.failed(told)


def _own_word(reference: Reference, told: Workflow) -> str:
    """Why the run itself says that it failed; empty when it does not, or cannot be heard."""
    try:
        outcome = logs.outcome(reference)
    except Rejected:  # the state is known all the same
        return ""
    return reasons.of_outcome(told, outcome) if outcome else ""
