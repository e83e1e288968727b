"""Reasons of a run's status. They begin with a small letter and have no full stop: they follow its name and state."""

import re
from collections.abc import Iterable, Mapping

from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Outcome, StageEvent

from robotrain.model.amounts import format_duration
from robotrain.redaction import redact, redact_sentence

HOUR = 3600.0
_WAIT_STEPS = ((24 * HOUR, "a day"), (6 * HOUR, "6 h"), (2 * HOUR, "2 h"), (HOUR, "1 h"), (1800.0, "30 min"),
          (600.0, "10 min"), (120.0, "2 min"))  # fmt: skip
OUTCOME_LINES = 400
"""Last lines of a log that are searched for the outcome."""
RETRY_HINT = "try `robotrain resubmit`, or `robotrain resume` if a checkpoint was published"
EXIT_REASONS: Mapping[int, str] = {
    1: "it failed (exit code 1)",
    2: "the job document is invalid (exit code 2)",
    4: "its preflight checks failed (exit code 4)",
    75: f"its environment failed, not the job (exit code 75): {RETRY_HINT}",
    126: "its image cannot run `/bin/sh` (exit code 126): use another --image",
    127: "its image has no Python 3.10 or newer (exit code 127): use another --image",
    130: "it was interrupted (exit code 130)",
    139: "a program crashed with a segmentation fault (exit code 139)",
    143: "it was stopped from outside (exit code 143)",
}
"""Reasons by the runtime's exit code; the log has more."""


def find_outcome(lines: Iterable[str]) -> Outcome | None:
    """Return the outcome in the last lines of a log, if it is that of the last attempt."""
    last_outcome: Outcome | None = None
    for line in lines:
        record = event.parse_event(line)
        if record and isinstance(record.event, Outcome):
            last_outcome = record.event
        elif record and isinstance(record.event, StageEvent) and record.event.state == "started":
            last_outcome = None  # it was that of an earlier attempt
    return last_outcome


def explain_outcome(outcome: Outcome | None, exit_code: int | None) -> str:
    """Return the run's own reason for its failure; empty if the outcome is that of another attempt."""
    if outcome is None or outcome.state != "failed" or exit_code not in (None, outcome.exit_code):
        return ""
    return redact_sentence(outcome.reason)


def append_message(sentence: str, engine: str, message: str, noise: Iterable[str] = ()) -> str:
    """Append the engine's message in brackets. `noise`: patterns of what says no more than an exit code."""
    for pattern in noise:
        message = re.sub(pattern, " ", message, flags=re.IGNORECASE)
    message_text = redact_text(" ".join(message.split()).strip(". :"))
    return f"{sentence} ({engine}: {message_text})" if message_text else sentence


def format_wait(seconds: float | None) -> str:
    """Return for how long a run has waited, in steps, so that the text rarely changes."""
    step = next((text for min_seconds, text in _WAIT_STEPS if (seconds or 0.0) >= min_seconds), "")
    return f", for more than {step}" if step else ""


def format_limit(seconds: float | None) -> str:
    """Return a time limit; empty if it is not known."""
    return f", {format_duration(seconds)}" if seconds else ""


def redact_text(text: str) -> str:
    """Return a text of the engine without secrets."""
    return redact(text, max_length=300)
