"""Why a workflow waits or failed, in one sentence with what to do about it. Pure.

Sentences begin small and have no full stop: they stand behind the name and the state of a run.
"""

import re
from collections.abc import Mapping

from robotrain_runtime.event import Outcome

from robotrain_osmo.watch.states import Workflow

HOUR = 3600.0
TOLD_TIMEOUT = 48 * HOUR
"""A longer one is OSMO's own, and nobody waits for it."""
_STEPS = ((24 * HOUR, "a day"), (6 * HOUR, "6 h"), (2 * HOUR, "2 h"), (HOUR, "1 h"), (1800.0, "30 min"),
          (600.0, "10 min"), (120.0, "2 min"))  # fmt: skip
AGAIN = "`robotrain resubmit` may succeed, and `robotrain resume` where it published a checkpoint"

WORDS: Mapping[str, str] = {
    "FAILED_SUBMISSION": "OSMO did not take the workflow",
    "FAILED_SERVER_ERROR": f"OSMO itself failed, not the job: {AGAIN}",
    "FAILED_BACKEND_ERROR": f"the cluster failed, or the machine was lost, not the job: {AGAIN}",
    "FAILED_START_ERROR": "its container could not be started: look at --image, and at the events "
    "(`osmo workflow events`)",
    "FAILED_START_TIMEOUT": "it did not start in time: a large or unreachable --image, or a secret that is not there "
    "(`osmo workflow events`)",
    "FAILED_PREEMPTED": "a job of higher priority took its machine, and it was not to be tried again: `robotrain "
    "resume` where it published a checkpoint, --priority HIGH, or a pool that retries",
    "FAILED_UPSTREAM": "something that it waits for failed",
}
"""By OSMO's word for the failure."""

CODES: Mapping[int, str] = {
    137: "memory ran out (exit code 137): more --memory, a smaller --batch-size or fewer --num-workers",
    256: "OSMO could not prepare the container (exit code 256): `osmo workflow events` says more",
    257: "OSMO could not prepare the container (exit code 257): `osmo workflow events` says more",
    2002: "OSMO's own part of the pod failed (exit code 2002): send it again",
    2010: "OSMO could not download an input (exit code 2010): look that the address is right (`osmo data list`), and "
    "that the jobs' identity or data credential may read it",
    2011: "OSMO could not mount an input (exit code 2011)",
    2012: "OSMO could not upload what the run left (exit code 2012): the jobs' identity must write to --publish-url",
    2013: "OSMO may not read or write an address of the workflow (exit code 2013): give the jobs' identity the role "
    "Storage Blob Data Contributor, or set a DATA credential for that storage",
    2014: "OSMO is not authorized at an address of the workflow (exit code 2014): the DATA credential for that storage "
    "is missing, wrong or too old (`osmo credential list`)",
    3000: "something that it waits for failed (exit code 3000)",
    3001: f"the cluster failed, not the job (exit code 3001): {AGAIN}",
    3002: f"OSMO itself failed, not the job (exit code 3002): {AGAIN}",
    3003: WORDS["FAILED_START_ERROR"],
    3005: WORDS["FAILED_START_TIMEOUT"],
    3006: WORDS["FAILED_PREEMPTED"],
    4000: "OSMO does not know why (exit code 4000): `osmo workflow events` may",
}
"""By the exit code of the task, where the word alone says nothing."""

RUNTIME: Mapping[int, str] = {
    1: "it failed (exit code 1)",
    2: "the job document cannot be used there (exit code 2)",
    4: "the look before the start found that it would fail (exit code 4)",
    75: f"its surroundings failed, not the job (exit code 75): {AGAIN}",
    130: "it was interrupted (exit code 130)",
    139: "a program crashed (exit code 139, a segmentation fault)",
    143: "it was stopped from outside (exit code 143)",
}
"""Exit codes of the run itself, whose log says more."""


def waiting(told: Workflow, event: str = "") -> str:
    """Why a run that has not ended is not further; empty while there is nothing to say. event: the one that tells."""
    again = f"its machine was taken away, and it was started again (retry {told.retry})" if told.retry else ""
    if not told.known:
        return f"OSMO calls it {told.word or 'nothing'}, a state that this robotrain does not know"
    if told.state == "running":
        return again
    pending = _image(event) if re.search("(?i)image", event) else _with_words(_pending(told), event)
    return f"{again}: {pending}" if again else pending


def failed(told: Workflow) -> str:
    """Why it failed, by OSMO's word, then by its exit code, then in OSMO's own words."""
    word, code = told.failure, told.exit_code
    if word == "FAILED_IMAGE_PULL":
        return _image(told.message)
    if word == "FAILED_EVICTED" or code == 3004:
        return _evicted(told.message)
    if word == "FAILED_EXEC_TIMEOUT":
        again = "`robotrain resume`, or `resubmit`, with a larger --exec-timeout"
        return f"it ran longer than it may{_limit(told.exec_timeout)}: {again}"
    if word == "FAILED_QUEUE_TIMEOUT":
        limit = _limit(told.queue_timeout)
        return f"no machine was free in time{limit}: another --pool or --gpu-platform, or a larger --queue-timeout"
    if word in WORDS:
        return _with_words(WORDS[word], told.message)
    if word != "FAILED":
        return _with_words(f"OSMO calls it {word}", told.message)
    return _of_code(code, told.message)


def cancelled(told: Workflow) -> str:
    """Who cancelled it."""
    return f"{told.by} cancelled it" if told.by and told.by.lower() != "osmo" else "it was cancelled"


def is_own(told: Workflow) -> bool:
    """Whether it failed by itself, so that its log knows better why."""
    return told.failure == "FAILED" and (told.exit_code is None or 0 < told.exit_code < 256)


def of_outcome(told: Workflow, outcome: Outcome) -> str:
    """What the run itself says of its failure; empty where that is about another try of it."""
    if outcome.state != "failed" or not outcome.reason or told.exit_code not in (None, outcome.exit_code):
        return ""
    said = _shown(outcome.reason, longest=800)
    known = CODES.get(told.exit_code or 0)
    return f"{known} ({said})" if known else said


def _pending(told: Workflow) -> str:
    if told.task == "INITIALIZING":
        return "its image is being pulled and its inputs are being fetched"
    since = _since(told.queued)
    if told.task in ("SUBMITTING", "WAITING", "PROCESSING"):
        return f"OSMO is preparing it{since}"
    limit = told.queue_timeout
    until = f"; OSMO gives up after {_duration(limit)} (--queue-timeout)" if limit and limit < TOLD_TIMEOUT else ""
    return f"no machine of the pool is free for it yet{since}{until}"


def _since(seconds: float | None) -> str:
    """In steps, so that what waits is not told anew with every look."""
    step = next((text for least, text in _STEPS if (seconds or 0.0) >= least), "")
    return f", for more than {step}" if step else ""


def _image(message: str) -> str:
    found = re.search(r"image \\?\"([^\"\\\s]+)", message)
    name = f" {_shown(found[1])}" if found else ""
    why = " and that the pool may read its registry (`osmo credential set NAME --type REGISTRY --payload-file …`)"
    said = _with_words("", message)
    return f"its image{name} could not be pulled: look that --image is right,{why}{said}"


def _evicted(message: str) -> str:
    if re.search(r"(?i)ephemeral|disk|storage", message):
        return _with_words("its machine ended it for want of disk (evicted, 3004): more --storage", message)
    if re.search(r"(?i)memory", message):
        return _with_words("its machine ended it for want of memory (evicted, 3004): more --memory", message)
    return _with_words(
        "its machine ended it (evicted, 3004), most often for want of disk or memory: more --storage or --memory",
        message,
    )


def _of_code(code: int | None, message: str) -> str:
    if code is None:
        return _with_words("it failed", message)
    if code in CODES:
        return CODES[code]
    if code in RUNTIME:
        return _with_words(RUNTIME[code], message)
    if 2020 <= code <= 2040:
        return _with_words(f"the pod lost its connection to OSMO (exit code {code}): {AGAIN}", message)
    return _with_words(f"it ended with exit code {code}", message)


def _with_words(sentence: str, message: str) -> str:
    """The sentence and, in brackets, what OSMO said, where that says anything more than an exit code."""
    said = _shown(" ".join(message.split()).rstrip(". "))
    if not said or re.fullmatch(r"Failure reason: ?-? ?Exit code \d+ due to [\w. -]+ failure", said):
        return sentence
    return f"{sentence} (OSMO: {said})"


def _limit(seconds: float | None) -> str:
    return f", {_duration(seconds)}" if seconds else ""


def _duration(seconds: float) -> str:
    from robotrain.progress import duration

    return duration(seconds)


def _shown(text: str, longest: int = 300) -> str:
    from robotrain.redaction import redact

    return redact(text, longest=longest)
