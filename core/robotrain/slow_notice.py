"""Messages about work that takes long, for code that has nobody to tell: a command says who prints them."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar

NOTICE_SECONDS = 3.0
"""After how long work is first spoken of; the time until the next message doubles."""

_say: ContextVar[Callable[[str], object]] = ContextVar("say", default=lambda text: None)


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
