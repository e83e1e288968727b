"""The relay of a run's events: to its log and events file, to tracking and to publishing."""

import math
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from robotrain_runtime.contract import claim, event, redaction
from robotrain_runtime.contract.event import Event, EventRecord, Metrics, Note, Outcome, StageEvent

WATCHED_METRIC = "loss"
QUOTED = "> "
"""Before an ordinary line that begins like an event. No space alone: who passes logs on may strip it."""


class EventRelay:
    """The relay of a run's events: from any thread to the log and events file, then to each sink in order.

    Both have whole lines only. Neither a closed standard output nor a full disk stops the run. `node` is the rank of
    this node: the log of another node than the lead has no events but errors, as one run has one progress and one end.
    """

    def __init__(self, events: Path, node: int = 0) -> None:
        self._node = node
        self._events = events.open("a", encoding="utf-8", buffering=1)
        with events.open("rb") as events_file, suppress(OSError):
            events_file.seek(-1, os.SEEK_END)
            if events_file.read(1) != b"\n":  # a killed attempt left its last line incomplete
                self._events.write("\n")
        self._lock = threading.Lock()
        self._sinks: list[Callable[[EventRecord], object]] = []
        self._warned: set[str] = set()

    def __enter__(self) -> "EventRelay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock, suppress(OSError):  # a full disk loses events, not the run
            self._events.close()

    def add_sink(self, sink: Callable[[EventRecord], object]) -> None:
        """Pass every event from now on to `sink`, which must return at once."""
        self._sinks.append(sink)

    def emit(self, sent: Event) -> None:
        """Send an event of the runtime itself."""
        self.forward(event.make_record(sent))

    def forward(self, record: EventRecord) -> None:
        """Pass on an event, whoever sent it."""
        record = self.write_record(record)
        for sink in self._sinks:
            sink(record)
        if isinstance(record.event, Metrics):
            metric_values = record.event.values
            losses = {name for name in metric_values if name.rpartition("/")[2] == WATCHED_METRIC}
            diverged = {name for name in losses - self._warned if not math.isfinite(metric_values[name])}
            self._warned |= diverged
            for name in sorted(diverged):
                self.emit(Note(level="warning", text=f"{name} is not finite at step {record.event.step}"))

    def write_record(self, record: EventRecord) -> EventRecord:
        """Write an event to log and file alone, if no other process took over the run; return it without secrets."""
        claim.end_if_superseded()
        record = EventRecord(record.time, redaction.hide_secrets_of_event(record.event), record.pipeline_step)
        event_line = event.format_event(record.event, record.time)
        with self._lock:
            with suppress(OSError, ValueError):  # closed: a process left behind may still send events
                self._events.write(event_line + "\n")
            if printed_line := describe_node_event(record, self._node) if self._node else event_line:
                self._print(printed_line)
        return record

    def write_line(self, log_line: str) -> None:
        """Write an ordinary log line, without secrets; one that looks like an event is quoted, for all readers."""
        log_line = redaction.hide_if_secret(log_line)
        with self._lock:
            self._print(f"{QUOTED}{log_line}" if log_line.startswith(event.PREFIX) else log_line)

    def _print(self, line: str) -> None:
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python reports it again at exit
        except OSError:
            pass


def describe_node_event(record: EventRecord, node: int) -> str:
    """Return the log line for an event of another node than the lead; empty for one that only its events file has."""
    match record.event:
        case Note(level="error", text=text):
            return event.format_event(Note(level="error", text=f"node {node}: {text}"), record.time)
        case Outcome(state="failed", reason=reason):
            return event.format_event(Note(level="error", text=f"node {node} failed: {reason}"), record.time)
        case Outcome(state=state, reason=reason):
            return f"node {node}: {reason or state}"
        case Note(level=level, text=text):
            return f"node {node}: {level}: {text}"
        case StageEvent(name=name, state=state, seconds=seconds):
            return f"node {node}: {name} {state}" + (f" after {seconds:.1f} s" if seconds else "")
    return ""
