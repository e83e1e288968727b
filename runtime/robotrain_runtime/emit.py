"""For programs that the runtime starts: send it an event."""

import functools
import os
import sys
from contextlib import suppress
from typing import IO

from robotrain_runtime import event
from robotrain_runtime.event import Event

DESCRIPTOR = "ROBOTRAIN_EVENTS_FD"


def emit(sent: Event) -> None:
    """Send an event: through the runtime's own pipe, else as a line of standard output. A lost reader is ignored."""
    to = _pipe() or sys.stdout
    with suppress(OSError):
        to.write(event.dump(sent) + "\n")
        to.flush()


@functools.cache
def _pipe() -> IO[str] | None:
    number = os.environ.pop(DESCRIPTOR, "")  # children must not take it for theirs: the number is something else there
    try:
        return os.fdopen(int(number), "w", encoding="utf-8")
    except (ValueError, OSError):
        return None
