"""The one deadline of questions over the network: a service that is silent, as without a VPN, holds up nothing.

Each question runs in a daemon thread, since looking up the name of a host has no timeout. What sends its requests asks
`robotrain_runtime.contract.deadline.limit_seconds` how long one may take, and ends them in time.
"""

import contextlib
import math
import os
import queue
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture, call_with_deadline

from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages

make_problem = Messages(__file__)

SHORT_SECONDS = 5.0
"""For a list, and for a check of this machine."""
LONG_SECONDS = 20.0
"""For a question that decides what a command does, and for a check of a service."""
PATIENCE_SECONDS = 600.0
"""How long a platform may fail to answer while a run is followed or waited for."""
VARIABLE = "ROBOTRAIN_NETWORK_SECONDS"
MAX_SECONDS = 3600.0
MAX_WORKERS = 8
"""Questions of a group that are asked at the same time."""
Question = Callable[[], Any]
_abandoned: list[DeadlineFuture[Any]] = []


class Reply(NamedTuple):
    """What a question returned, or raised; DeadlineExceeded for silence."""

    value: Any
    error: BaseException | None = None


def get_limit(default: float) -> float:
    """Return the limit that the user's variable sets, or else the default. Raise Rejected."""
    with contextlib.suppress(ValueError):
        if 0 < (seconds := float(os.environ.get(VARIABLE) or default)) <= MAX_SECONDS:
            return seconds
    raise Rejected([make_problem("value-invalid.network-seconds", most=MAX_SECONDS)])


def suggest_more_time(seconds: float) -> Suggestion:
    """Return what a user types before a command in which `seconds` were too few for an answer."""
    return Suggestion(f"{VARIABLE}={min(3 * math.ceil(seconds), MAX_SECONDS):g}", f"waits longer than {seconds:.0f} s")


def ask_all(
    question_groups: Sequence[Sequence[Question]], seconds: float, max_workers: int = MAX_WORKERS
) -> list[list[Reply]]:
    """Return the answers to groups of questions, such as those to one platform.

    No group waits for another. One from which nothing is heard for `seconds` is given up.
    """
    futures = [DeadlineFuture(partial(_ask_group, group, seconds, max_workers)) for group in question_groups]
    return [group.result() for group in futures]


def ask_one(question: Question, seconds: float) -> Any:
    """Return the answer to one question. Raise what it raises, or DeadlineExceeded."""
    [[(value, error)]] = ask_all([[question]], seconds)
    if error is not None:
        raise error
    return value


def _ask_group(questions: Sequence[Question], seconds: float, max_workers: int) -> list[Reply]:
    replies = [
        Reply(None, DeadlineExceeded(f"it gave no answer in {seconds:g} s ({VARIABLE} sets how long it may take)"))
    ] * len(questions)
    open_questions: queue.SimpleQueue[tuple[int, Question]] = queue.SimpleQueue()
    numbered_replies: queue.SimpleQueue[tuple[int, Reply]] = queue.SimpleQueue()
    for numbered_question in enumerate(questions):
        open_questions.put(numbered_question)

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                index, question = open_questions.get_nowait()
                numbered_replies.put((index, _try(question, seconds)))

    workers = [DeadlineFuture(work) for _ in questions[:max_workers]]
    deadline = time.monotonic() + seconds
    try:
        for _ in questions:
            index, replies[index] = numbered_replies.get(timeout=max(0.0, deadline - time.monotonic()))
            if not is_silence(replies[index].error):
                deadline = time.monotonic() + seconds
    except queue.Empty:
        _abandoned.extend(workers)
        with contextlib.suppress(queue.Empty):
            while True:
                open_questions.get_nowait()
    return replies


def _try(question: Question, seconds: float) -> Reply:
    try:
        return Reply(call_with_deadline(question, seconds))
    except BaseException as error:  # whatever a plugin raises: it is the answer
        return Reply(None, error)


def is_silence(error: BaseException | None) -> bool:
    """Return whether an error means that a service does not answer at present."""
    return error.transient if isinstance(error, Rejected) else isinstance(error, OSError)


def exit_if_abandoned(code: int) -> None:
    """End this process now if a question that was given up still runs: its threads could delay the end for ever."""
    if any(worker.is_running() for worker in _abandoned):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or never there
                stream.flush()
        os._exit(code)
