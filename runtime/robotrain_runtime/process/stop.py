"""Stop signals, lock files and deadlines: everything that can interrupt a wait."""

import fcntl
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Generic, TypeVar

SIGNALS = (signal.SIGTERM, signal.SIGINT)
WAKE_SIGNAL = signal.SIGURG  # ignored by default
GRACE_VARIABLE = "ROBOTRAIN_GRACE_SECONDS"
"""The environment variable for the seconds that a program has to save its work after a stop."""


class StopRequested(Exception):
    """Someone asked the run to stop."""


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


@contextmanager
def hold_lock(path: Path, stop: StopSignal, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file at `path`; it is created and stays. `on_wait` is called if another process holds it.

    Raise StopRequested while waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            with stop.interruptible():
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


T = TypeVar("T")


class DeadlineFuture(Generic[T]):
    """The result of a call in a daemon thread, with a deadline: a call that hangs blocks nothing."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._began = time.monotonic()
        self._result: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self, seconds: float) -> T:
        """Return the result, at most `seconds` after the start. Raise TimeoutError, or the call's exception."""
        self._thread.join(max(0.0, self._began + seconds - time.monotonic()))
        if self._error is not None:
            raise self._error
        if not self._result:
            raise TimeoutError
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._call())
        except Exception as error:
            self._error = error
