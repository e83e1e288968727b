"""The end of a cancelled run: an engine accepts the request at once and ends the run later."""

import time
from collections.abc import Callable

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.run import Reference
from robotrain.redaction import redact

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 4.0


def require_end(
    reference: Reference,
    name: str,
    engine: str,
    has_ended: Callable[[], bool],
    seconds: float,
    *suggestions: Suggestion,
    refusal: str = "",
) -> None:
    """Wait until a cancelled run has ended. Raise Rejected if it has not after `seconds`.

    `name`: the engine's name of the run. `refusal`: why the engine refused; then the run must have ended by itself.
    """
    if _wait_until_ended(has_ended, 0.0 if refusal else seconds):
        return
    run = reference.get("run", "")
    if refusal:
        code, title = "cancel-refused", f"{engine} did not cancel {name}"
        command = Suggestion(f"robotrain status {run}".rstrip(), "shows its state")
    else:
        code, title = "cancel-pending", f"{engine} accepted the request, but {name} had not ended {seconds:g} s later"
        command = Suggestion(f"robotrain wait {run}".rstrip(), "waits for its end")
    why = refusal and f"{redact(refusal, max_length=500).rstrip('.')}."
    suggestions = (command, *suggestions)
    raise Rejected([Problem(code=code, stage=Stage.SUBMIT, title=title, why=why, suggestions=suggestions)])


def _wait_until_ended(has_ended: Callable[[], bool], seconds: float) -> bool:
    """Return whether the run ends in time; transient errors are ignored."""
    until, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        try:
            if has_ended():
                return True
        except Rejected as rejected:
            if not rejected.transient:
                raise
        if time.monotonic() >= until:
            return False
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
