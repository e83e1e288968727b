"""Stop signals of this process, such as SIGTERM, which interrupt a wait."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)
WAKE_SIGNAL = signal.SIGURG  # ignored by default
GRACE_VARIABLE = "ROBOTRAIN_GRACE_SECONDS"
"""The environment variable for the seconds that a program has to save its work after a stop."""


class StopRequested(Exception):
    """The run was asked to stop."""


class StopSignal:
    """The stop signals of the process while entered: `interruptible` blocks raise StopRequested.

    `number` is the first signal, `count` how many arrived.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.count = 0
        self._pending = False
        self._armed = False
        self._interrupted = False
        self._previous_handlers: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        self._previous_handlers = {number: signal.signal(number, self._handle_signal) for number in SIGNALS}
        self._previous_handlers[WAKE_SIGNAL] = signal.signal(WAKE_SIGNAL, self._handle_wake)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    @property
    def exit_code(self) -> int:
        """The exit code that a shell reports for this signal."""
        return 128 + (self.number or signal.SIGTERM)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let each signal, also an earlier one, raise StopRequested once inside the block."""
        self._armed = True
        try:
            if self._pending:
                self._raise_pending()
            yield
        finally:
            self._armed = False

    def interrupt(self) -> None:
        """Interrupt the main thread from another one, like a signal, but `number` stays None."""
        self._interrupted = True
        signal.pthread_kill(threading.main_thread().ident or 0, WAKE_SIGNAL)

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        self.count += 1
        self._mark_pending()

    def _handle_wake(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted:
            self._interrupted = False
            self._mark_pending()

    def _mark_pending(self) -> None:
        self._pending = True
        if self._armed:
            self._raise_pending()

    def _raise_pending(self) -> None:
        self._pending = self._armed = False
        raise StopRequested
