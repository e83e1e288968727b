"""The run's log: ordinary lines and event lines on standard output, the event lines also in a file of their own."""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from robotrain_runtime import event
from robotrain_runtime.event import Event


class Log:
    """Whole lines only, from any thread. Neither a reader that went away nor a full disk stops the run."""

    def __init__(self, events: Path) -> None:
        self._events = events.open("a", encoding="utf-8", buffering=1)
        self._begin_line(events)
        self._lock = threading.Lock()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock, suppress(OSError):  # what a full disk did not take is lost here; the run is not
            self._events.close()

    def emit(self, sent: Event, at: float | None = None) -> None:
        """An event. at: when it was sent, if not now."""
        line = event.dump(sent, at)
        with self._lock:
            with suppress(OSError, ValueError):  # a process that was left behind may speak after the end
                self._events.write(line + "\n")
            self._print(line)

    def line(self, text: str) -> None:
        """An ordinary line."""
        with self._lock:
            self._print(text)

    def _begin_line(self, events: Path) -> None:
        """An attempt that was killed may have left half a line."""
        with events.open("rb") as written, suppress(OSError):
            written.seek(-1, os.SEEK_END)
            if written.read(1) != b"\n":
                self._events.write("\n")

    def _print(self, line: str) -> None:
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains again when it ends
        except OSError:
            pass
