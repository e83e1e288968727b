"""Printers of followed runs: their log, what happens to them, or JSON."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract import event

from robotrain.cli.output import print_message
from robotrain.cli.table import to_plain_line
from robotrain.model.event_text import describe_event
from robotrain.model.workload_profile import Metric

if TYPE_CHECKING:
    from robotrain.cli.watch.follower import FollowedRun

LineFormat = Callable[[str], str | None]
"""Returns what a line of a log is shown as; None for a line that is not shown."""
LineWriter = Callable[[str], bool]
"""Writes a line; returns False when the reader has gone."""
PROGRESS_SECONDS = 1.0
"""The shortest time between two progress lines of one run: catching up with a long log prints few lines."""


def format_line(line: str, metrics: Sequence[Metric]) -> str | None:
    """Return a line of a log as people see it: events as sentences, without metrics, which the program prints itself.

    :param metrics: those of the workload.
    """
    record = event.parse_event(line)
    if record is None:
        return line
    text = "" if isinstance(record.event, event.Metrics) else describe_event(record.event, metrics)
    return label_step(record, f"[robotrain] {text}") if text else None


def format_json_line(line: str) -> str:
    """Return the JSON object of an event, and of an ordinary line `{"line": …}`."""
    return json.dumps({"line": line}) if event.parse_event(line) is None else line.removeprefix(event.PREFIX)


def label_step(record: event.EventRecord, text: str) -> str:
    """Return a text about an event, with the step of a pipeline that it belongs to before it."""
    return f"[{record.pipeline_step}] {text}" if record.pipeline_step else text


def is_end(record: event.EventRecord) -> bool:
    """Whether an event is the end of the run itself, not of a step of a pipeline."""
    return isinstance(record.event, event.Outcome) and not record.pipeline_step


class Printer:
    """An observer that prints one thing at a time, whichever thread reports it; silent once closed.

    This one prints only what does not work; subclasses print more.
    """

    shows_past = False
    """Whether lines of before it began are printed."""

    def __init__(self, write: LineWriter) -> None:
        self.runs: Sequence[FollowedRun] = ()
        self.reader_gone = threading.Event()
        self.error: OSError | None = None
        """Why nothing can be written, such as a full disk."""
        self._write = write
        self._lock = threading.RLock()
        self._closed = False

    def __enter__(self) -> Printer:
        return self

    def __exit__(self, *how: object) -> None:
        with self._lock:
            self._closed = True

    def on_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        """Print a line of the log."""
        self._call_locked(self._print_line, followed, text, record)

    def on_state(self, followed: FollowedRun) -> None:
        """Print a new state, or the end."""
        self._call_locked(self._print_state, followed)

    def on_trouble(self, followed: FollowedRun, text: str) -> None:
        """Print what does not work."""
        self._call_locked(self._print_trouble, followed, text)

    def on_tick(self) -> None:
        """Print what is due; raise OSError when nothing can be written any more."""
        self._call_locked(self._print_due)
        if self.error:
            raise self.error

    def _call_locked(self, function: Callable[..., None], *what: Any) -> None:
        with self._lock:
            if self._closed or self.error:
                return
            try:
                function(*what)
            except OSError as error:  # in the thread of a run; `on_tick` raises it in the main thread
                self.error = error

    def write(self, text: str) -> None:
        """Write a line, and note when the reader has gone."""
        if not self._write(text):
            self.reader_gone.set()

    def _print_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        """Print a line of the log; called under the lock, as are the following."""

    def _print_state(self, followed: FollowedRun) -> None:
        """Print a new state, or the end."""

    def _print_trouble(self, followed: FollowedRun, text: str) -> None:
        print_message(f"warning: {text}")

    def _print_due(self) -> None:
        """Print what is due."""


class LogPrinter(Printer):
    """Prints the log of one run."""

    shows_past = True

    def __init__(self, write: LineWriter, line_format: LineFormat | None = None) -> None:
        super().__init__(write)
        self._line_format = line_format

    def _print_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        line_format = self._line_format or partial(format_line, metrics=followed.record.metrics)
        if (shown_text := line_format(text)) is not None:
            self.write(shown_text)


class JsonPrinter(Printer):
    """Prints a JSON object for each event and each change of state; the keys are an API."""

    shows_past = True

    def _print_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        if record is not None:
            kind = event.EVENT_NAMES[type(record.event)]
            step = {event.PIPELINE_STEP: record.pipeline_step} if record.pipeline_step else {}
            self._write_object(followed, kind, record.time, step | dataclasses.asdict(record.event))

    def _print_state(self, followed: FollowedRun) -> None:
        status, (state, reason) = followed.status, followed.reported_state
        body: dict[str, Any] = {"state": state, "reason": reason, "exit_code": status.exit_code}
        body |= {"started": status.started, "ended": status.ended, "over": followed.is_over}  # the last object is over
        self._write_object(followed, "state", time.time(), body)

    def _print_trouble(self, followed: FollowedRun, text: str) -> None:
        self._write_object(followed, "trouble", time.time(), {"text": text})

    def _write_object(self, followed_run: FollowedRun, change: str, timestamp: float, body: dict[str, Any]) -> None:
        change_data = {"run": followed_run.record.run, "change": change, "time": timestamp, **body}
        self.write(json.dumps(event.make_json_safe(change_data), allow_nan=False))


class EventPrinter(Printer):
    """Prints what happens to runs, each line with its run, and at most once a second how far each is.

    :param has_summary: how the runs ended is printed after it.
    """

    shows_past = True

    def __init__(self, write: LineWriter, has_summary: bool = False) -> None:
        super().__init__(write)
        self._has_summary = has_summary
        self._progress: dict[str, tuple[str, str]] = {}
        """How far each run is, as it is printed, and without the time left, which alone is no news."""
        self._printed: dict[str, tuple[str, float]] = {}
        """What was printed of it, and when."""

    def __exit__(self, *how: object) -> None:
        for run in [*self._progress]:
            self._call_locked(self._print_progress, run)
        super().__exit__(*how)

    def _print_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        if record is None:  # the logs of several runs at once are unreadable
            return
        progress = followed.get_step_progress(record.pipeline_step)
        if isinstance(record.event, event.Metrics | event.Download) or is_end(record):
            if progress.step is not None or isinstance(record.event, event.Download):
                place = label_step(record, progress.format_line(has_ended=True))
                shown_text = place if is_end(record) else label_step(record, progress.format_line())
                self._progress[followed.record.run] = (shown_text, place)
                self._print_due()
        elif description := self._describe_event(followed, record):
            self._print_event(followed.record.run, to_plain_line(label_step(record, description)))

    def _describe_event(self, followed_run: FollowedRun, record: event.EventRecord) -> str:
        """Describe an event without what the summary shows; work with low scores has not failed."""
        evaluated = followed_run.get_step_progress(record.pipeline_step).evaluated
        match record.event:
            case event.Outcome() if self._has_summary:
                return ""
            case event.StageEvent(name="work", state="failed") as stage if evaluated and evaluated.passed is False:
                return describe_event(dataclasses.replace(stage, state="done"))
            case event.Evaluated() as told if self._has_summary:
                return describe_event(dataclasses.replace(told, scores={}, conditions=""))
        return describe_event(record.event, followed_run.record.metrics)

    def _print_state(self, followed: FollowedRun) -> None:
        state, reason = followed.reported_state
        if followed.is_over and self._has_summary:
            reason = ""
        elif state == followed.status.state and followed.status.exit_code is not None:
            state += f", exit code {followed.status.exit_code}"
        self._print_event(followed.record.run, to_plain_line(": ".join(filter(None, (state, reason)))))

    def _print_due(self) -> None:
        for run in [*self._progress]:
            _, printed_at = self._printed.get(run, ("", -PROGRESS_SECONDS))
            if time.monotonic() - printed_at >= PROGRESS_SECONDS:
                self._print_progress(run)

    def _print_event(self, run: str, text: str) -> None:
        self._print_progress(run)
        self._write_of(run, text)

    def _print_progress(self, run: str) -> None:
        """Print how far a run is, unless that was printed."""
        text, place = self._progress.get(run, ("", ""))
        if place != self._printed.get(run, ("", 0.0))[0]:
            self._printed[run] = (place, time.monotonic())
            self._write_of(run, text)

    def _write_of(self, run: str, text: str) -> None:
        self.write(f"{run}  {text}")
