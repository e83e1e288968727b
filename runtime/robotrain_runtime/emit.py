"""For programs that the runtime starts: send it an event."""

import functools
import os
import sys
import threading
from contextlib import suppress
from typing import IO

from robotrain_runtime import event
from robotrain_runtime.event import Event

DESCRIPTOR = "ROBOTRAIN_EVENTS_FD"

_whole = threading.Lock()


def emit(sent: Event) -> None:
    """Send an event: through the runtime's own pipe, else as a line of standard output. A lost reader is ignored."""
    line(event.dump(sent))


def line(text: str) -> None:
    """Send a line, whole, from any thread, the way an event goes."""
    with _whole, suppress(OSError):
        to = _pipe() or sys.stdout
        to.write(text + "\n")
        to.flush()


@functools.cache
def _pipe() -> IO[str] | None:
    number = os.environ.pop(DESCRIPTOR, "")  # children must not take it for theirs: the number is something else there
    try:
        return os.fdopen(int(number), "w", encoding="utf-8")
    except (ValueError, OSError):
        return None
