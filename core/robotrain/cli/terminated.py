"""A command that is told to end while it sends: as Ctrl-C, it says what may be there, and leaves nothing half done."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def as_interrupted() -> Iterator[None]:
    """SIGTERM within is Ctrl-C, where nobody else hears it."""
    hears = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if hears:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        if hears:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
