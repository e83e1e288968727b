"""Why a job waits or failed, in one sentence with what to do about it. Pure.

Sentences begin small and have no full stop: they stand behind the name and the state of a run.
"""

import re
from collections.abc import Mapping

from robotrain_azure.workspace import Workspace
from robotrain_runtime.event import Outcome

from robotrain_azureml.watch import causes
from robotrain_azureml.watch.causes import AGAIN
from robotrain_azureml.watch.states import Job

HOUR = 3600.0
_STEPS = ((24 * HOUR, "a day"), (6 * HOUR, "6 h"), (2 * HOUR, "2 h"), (HOUR, "1 h"), (1800.0, "30 min"),
          (600.0, "10 min"), (120.0, "2 min"))  # fmt: skip
LONG = 1800.0
"""Seconds of waiting, after which it is said where to look."""

PENDING: Mapping[str, str] = {
    "NotStarted": "Azure ML has taken it and not begun with it",
    "Unapproved": "Azure ML waits for somebody to approve it",
    "Scheduled": "Azure ML begins with it at a later time",
    "Starting": "Azure ML is starting it",
    "Provisioning": "a machine of its compute is being started",
    "Preparing": "its image is being pulled and its inputs are being mounted",
    "Queued": "no machine of its compute is free for it yet",
    "Pausing": "it is being paused",
    "Paused": "it is paused",
}
"""By Azure ML's word for the state, while it waits."""

RUNNING: Mapping[str, str] = {
    "Finalizing": "its work is done, and its checkpoints are being uploaded",
    "CancelRequested": "its end was asked for, and has not come yet",
    "NotResponding": "its machine was not heard of for a while: it may go on, else `robotrain cancel` and "
    "`robotrain resubmit`",
}
"""By Azure ML's word for the state, while it goes on."""

RUNTIME: Mapping[int, str] = {
    1: "it failed (exit code 1)",
    2: "the job document cannot be used there (exit code 2)",
    4: "the look before the start found that it would fail (exit code 4)",
    75: f"its surroundings failed, not the job (exit code 75): {AGAIN}",
    126: "its image cannot run `python3` (exit code 126): another --image",
    127: "its image has no `python3` (exit code 127): another --image",
    130: "it was interrupted (exit code 130)",
    137: f"{causes.MEMORY} (exit code 137)",
    139: "a program crashed (exit code 139, a segmentation fault)",
    143: "it was stopped from outside (exit code 143)",
}
"""Exit codes of the run itself, whose log says more."""

_EMPTY = (
    r"Execution failed\.?",
    r"User process '[^']*' exited with status code \d+\.?",
    r"Please check (?:the )?(?:log file )?'?[\w/.-]*'? for (?:more |error )?details\.?",
    r"(?:Job failed with )?non-zero exit code:? ?\d*\.?",
    r"(?:Process|It|Container) exited with (?:status )?code:? ?\d+\.?",
)
"""What Azure ML says beside an exit code, and says nothing with."""


def waiting(told: Job, at: Workspace, now: float) -> str:
    """Why a job that has not ended is not further; empty while there is nothing to say. now: since the epoch."""
    if not told.known:
        return f"Azure ML calls it {_shown(told.word) or 'nothing'}, a state that this robotrain does not know"
    warned = told.warnings[-1] if told.warnings else ""
    hint = causes.of(warned, told, at) if told.state == "pending" else ""
    if hint:
        return _with_words(hint, warned)
    if told.word in RUNNING or told.state == "running":
        return RUNNING.get(told.word, "")
    again = "its machine was taken away, and it waits for another: " if told.started is not None else ""
    return f"{again}{PENDING.get(told.word, 'it waits')}{_since(told, now)}"


def failed(told: Job, at: Workspace, outcome: Outcome | None) -> str:
    """Why it failed: a time that ran out, what the run itself said last, what Azure ML's words mean, its exit code."""
    if told.timed_out:
        again = "`robotrain resume`, or `resubmit`, with a larger --exec-timeout"
        over = f"it ran longer than it may{_limit(told.limit)}: {again}"
        return _with_words(over, told.message)
    cause = causes.of(f"{told.code}: {told.message}", told, at)
    if cause and told.exit_code is None:
        return _with_words(cause, told.message)
    if own := of_outcome(told, outcome):
        return own
    return _with_words(cause or _of_code(told), told.message)


def of_outcome(told: Job, outcome: Outcome | None) -> str:
    """What the run itself says of its failure; empty where that is about another try of it."""
    if outcome is None or outcome.state != "failed" or not outcome.reason:
        return ""
    if told.exit_code not in (None, outcome.exit_code):
        return ""
    said = _shown(outcome.reason, longest=800)
    return f"{RUNTIME[137]} ({said})" if told.exit_code == 137 else said


def cancelled(told: Job) -> str:
    """That it was; Azure ML does not say by whom."""
    return _with_words("it was cancelled", told.message)


def _of_code(told: Job) -> str:
    code = told.exit_code
    if code is None:
        return "it failed" if told.message or not told.code else f"it failed ({_shown(told.code)})"
    return RUNTIME.get(code, f"it ended with exit code {code}")


def _since(told: Job, now: float) -> str:
    """In steps, so that what waits is not told anew with every look."""
    waited = now - told.made if told.made and told.started is None else 0.0
    step = next((f", for more than {text}" for least, text in _STEPS if waited >= least), "")
    return f"{step}{_where_to_look(told) if waited >= LONG else ''}"


def _where_to_look(told: Job) -> str:
    if told.word == "Queued":
        shows = f"`az ml compute show --name {told.compute or 'COMPUTE'}`"
        return f": its nodes may be in use, or the quota for them be spent ({shows}); another --compute, or wait"
    if told.word == "Preparing":
        return ": its image may be very large, or not to be had; the job's page in the studio shows the events"
    return ""


def _with_words(sentence: str, message: str) -> str:
    """The sentence and, in brackets, what Azure ML said, where that says anything more than an exit code."""
    for pattern in _EMPTY:
        message = re.sub(pattern, " ", message, flags=re.IGNORECASE)
    said = _shown(" ".join(message.split()).strip(". "))
    return f"{sentence} (Azure ML: {said})" if said and not re.fullmatch(r"(?i)error:?", said) else sentence


def _limit(seconds: float | None) -> str:
    if not seconds:
        return ""
    from robotrain.progress import duration

    return f", {duration(seconds)}"


def _shown(text: str, longest: int = 300) -> str:
    from robotrain.redaction import redact

    return redact(text, longest=longest)
