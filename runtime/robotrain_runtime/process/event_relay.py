"""The run's event log, and the relay that passes events on to tracking and publishing."""

import math
import os
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Checkpoint, Evaluated, Event, EventRecord, Metrics, Note
from robotrain_runtime.publishing.publisher import Publisher
from robotrain_runtime.tracking.tracker import Tracker


class EventLog:
    """Whole lines only, from any thread. Neither a reader that went away nor a full disk stops the run."""

    def __init__(self, events: Path) -> None:
        self._events = events.open("a", encoding="utf-8", buffering=1)
        self._end_torn_line(events)
        self._lock = threading.Lock()

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock, suppress(OSError):  # what a full disk did not take is lost here; the run is not
            self._events.close()

    def write_event(self, sent: Event, sent_at: float | None = None) -> None:
        """An event. at: when it was sent, if not now."""
        line = event.format_event(sent, sent_at)
        with self._lock:
            with suppress(OSError, ValueError):  # a process that was left behind may speak after the end
                self._events.write(line + "\n")
            self._print(line)

    def write_line(self, text: str) -> None:
        """An ordinary line."""
        with self._lock:
            self._print(text)

    def _end_torn_line(self, events: Path) -> None:
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


WATCHED_METRIC = "loss"


class EventRelay:
    """Events come in from any thread. tracker, publisher: set once there is one."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.tracker: Tracker | None = None
        self.publisher: Publisher | None = None
        self._warned: set[str] = set()

    def emit(self, sent: Event) -> None:
        """An event of the runtime itself."""
        self.forward(event.make_record(sent))

    def forward(self, record: EventRecord) -> None:
        """An event, from wherever it was sent."""
        self.log.write_event(record.event, record.time)
        if self.tracker is not None:
            self.tracker.send(record)
        if isinstance(record.event, Checkpoint | Evaluated) and self.publisher is not None:
            self.publisher.add(record.event)
        if isinstance(record.event, Metrics):
            for name in self._find_diverged(record.event):
                self.emit(Note(level="warning", text=f"{name} is not finite at step {record.event.step}"))

    def log_record(self, record: EventRecord) -> None:
        """An event of tracking, which is not sent back to it."""
        self.log.write_event(record.event, record.time)

    def _find_diverged(self, metrics: Metrics) -> Iterable[str]:
        new = {
            name
            for name, value in metrics.values.items()
            if name.rpartition("/")[2] == WATCHED_METRIC and not math.isfinite(value)
        } - self._warned
        self._warned |= new
        return sorted(new)
