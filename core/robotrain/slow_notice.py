"""Messages about work that takes long, for code that has nobody to tell: a command says who prints them, and where such
work is left out.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar

NOTICE_SECONDS = 3.0
"""After how long work is first spoken of; the time until the next message doubles."""

_say: ContextVar[Callable[[str], object]] = ContextVar("say", default=lambda text: None)
_is_left_out: ContextVar[bool] = ContextVar("is_left_out", default=False)


@contextlib.contextmanager
def leave_out_slow_checks(is_left_out: bool) -> Iterator[None]:
    """Have checks that read all files of a folder left out in this block."""
    token = _is_left_out.set(is_left_out)
    try:
        yield
    finally:
        _is_left_out.reset(token)


def are_slow_checks_left_out() -> bool:
    """Return whether checks that read all files of a folder are left out now."""
    return _is_left_out.get()


@contextlib.contextmanager
def print_slow_notices(say: Callable[[str], object]) -> Iterator[None]:
    """Have the messages of slow work in this block printed by `say`; without it there are none."""
    token = _say.set(say)
    try:
        yield
    finally:
        _say.reset(token)


class SlowNotice:
    """Says how far some work has come, once it takes long."""

    def __init__(self, text: str) -> None:
        """:param text: what is done: the message adds how much of it."""
        self._text = text
        self._wait = NOTICE_SECONDS
        self._next = time.monotonic() + self._wait

    def update(self, count: int) -> None:
        """Say it if it is time to."""
        now = time.monotonic()
        if now >= self._next:
            self._wait *= 2
            self._next = now + self._wait
            _say.get()(f"{self._text}: {count:,} so far")
