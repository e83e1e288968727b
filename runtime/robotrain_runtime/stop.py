"""SIGTERM and SIGINT: noticed at once, acted on only where the runtime waits, so that no event is cut in half."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)
WAKE = signal.SIGURG  # one that nobody minds when nobody handles it
GRACE = "ROBOTRAIN_GRACE_SECONDS"
"""The environment name of how long a program that is told to stop has to save what it can."""


class Stopped(Exception):
    """Someone asked the run to stop."""


class Stop:
    """While entered, the first signal is kept in `number`, and `armed` blocks raise Stopped. count: how many came."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.count = 0
        self._pending = False
        self._armed = False
        self._ended = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        self._before[WAKE] = signal.signal(WAKE, self._wake)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def exit_code(self) -> int:
        """What a shell reports for a process that this signal ended."""
        return 128 + (self.number or signal.SIGTERM)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """A block in which a signal, also one that came before it, raises Stopped; once for each signal."""
        self._armed = True
        try:
            if self._pending:
                self._take()
            yield
        finally:
            self._armed = False

    def end(self) -> None:
        """From another thread, when it is no use to go on: as a signal, but that `number` stays None."""
        self._ended = True
        signal.pthread_kill(threading.main_thread().ident or 0, WAKE)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        self.count += 1
        self._raise()

    def _wake(self, number: int, frame: FrameType | None) -> None:
        if self._ended:
            self._ended = False
            self._raise()

    def _raise(self) -> None:
        self._pending = True
        if self._armed:
            self._take()

    def _take(self) -> None:
        self._pending = self._armed = False
        raise Stopped
