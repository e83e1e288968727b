"""Calls in daemon threads, side by side, each with a deadline."""

import contextvars
import functools
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class DeadlineExceeded(TimeoutError):
    """A call that has not returned in time."""


_deadline = contextvars.ContextVar("deadline", default=math.inf)
"""When nobody waits any more for the call that runs in this thread, or that started it."""
SHARE = 0.9
"""What a request may take of the time that is left: then it still says itself that nothing answered."""


def limit_seconds(seconds: float) -> float:
    """Return how long a request may take: `seconds`, or less in a call that is not waited for so long."""
    return min(seconds, max(0.1, SHARE * (_deadline.get() - time.monotonic())))


def call_with_deadline(call: Callable[[], T], seconds: float) -> T:
    """Return what a call returns whose requests are limited to `seconds` from now."""
    token = _deadline.set(min(_deadline.get(), time.monotonic() + seconds))
    try:
        return call()
    finally:
        _deadline.reset(token)


class DeadlineFuture(Generic[T]):
    """The result of a call that runs in a daemon thread from now on: a call that hangs blocks nothing.

    :param seconds: how long it is waited for, which limits its requests (`limit_seconds`).
    """

    def __init__(self, call: Callable[[], T], seconds: float = math.inf) -> None:
        self._call = functools.partial(call_with_deadline, call, seconds)
        self._context = contextvars.copy_context()
        self._began = time.monotonic()
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._context.run, args=(self._run,), daemon=True)
        self._thread.start()

    def result(self, seconds: float | None = None) -> T:
        """Return the result, at most `seconds` after the start. Raise DeadlineExceeded, or what the call raises."""
        self._thread.join(None if seconds is None else max(0.0, self._began + seconds - time.monotonic()))
        if self._error is not None:
            raise self._error
        if not self._result:
            raise DeadlineExceeded
        return self._result[0]

    def is_running(self, seconds: float = 0.0) -> bool:
        """Return whether the call has neither returned nor raised, now or, if it ends sooner, in `seconds`."""
        self._thread.join(seconds)
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as error:
            self._error = error


SILENCE_SECONDS = 60.0
SLOWEST_BYTES = 1 << 13
"""Bytes a second: what comes more slowly is as good as silence. Timeouts of sockets begin again with each byte."""


def read_pieces(pieces: Iterator[T], size: int) -> Iterator[T]:
    """Yield the pieces of a content, each of at most `size` bytes. Raise DeadlineExceeded if they come too slowly.

    There is no limit for all of them.
    """
    while True:
        try:
            piece = DeadlineFuture(lambda: next(pieces, None)).result(SILENCE_SECONDS + size / SLOWEST_BYTES)
        except DeadlineExceeded:
            raise DeadlineExceeded("timed out: almost nothing comes") from None
        if piece is None:
            return
        yield piece
