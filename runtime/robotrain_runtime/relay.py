"""Where the events of a run pass: into the log, to tracking and publishing, and under the eye that sees a loss that is
no number.
"""

import math
from collections.abc import Iterable

from robotrain_runtime import event
from robotrain_runtime.event import Checkpoint, Evaluated, Event, Metrics, Note, Record
from robotrain_runtime.log import Log
from robotrain_runtime.publish.publisher import Publisher
from robotrain_runtime.track.tracker import Tracker

WATCHED = "loss"


class Relay:
    """Events come in from any thread. tracker, publisher: set once there is one."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.tracker: Tracker | None = None
        self.publisher: Publisher | None = None
        self._warned: set[str] = set()

    def emit(self, sent: Event) -> None:
        """An event of the runtime itself."""
        self.take(event.now(sent))

    def take(self, record: Record) -> None:
        """An event, from wherever it was sent."""
        self.log.emit(record.event, record.time)
        if self.tracker is not None:
            self.tracker.send(record)
        if isinstance(record.event, Checkpoint | Evaluated) and self.publisher is not None:
            self.publisher.take(record.event)
        if isinstance(record.event, Metrics):
            for name in self._diverged(record.event):
                self.emit(Note(level="warning", text=f"{name} is not finite at step {record.event.step}"))

    def note(self, record: Record) -> None:
        """An event of tracking, which is not sent back to it."""
        self.log.emit(record.event, record.time)

    def _diverged(self, metrics: Metrics) -> Iterable[str]:
        new = {
            name
            for name, value in metrics.values.items()
            if name.rpartition("/")[2] == WATCHED and not math.isfinite(value)
        } - self._warned
        self._warned |= new
        return sorted(new)
