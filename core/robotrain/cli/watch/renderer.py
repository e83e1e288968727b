"""Renderers of followed runs: log lines, changes, JSON lines, and a live line."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract import event

from robotrain.cli import output
from robotrain.cli.output import print_message, print_message_line
from robotrain.cli.table import to_plain_line
from robotrain.cli.watch.follower import FollowedRun
from robotrain.model.event_text import describe_event
from robotrain.model.workload_profile import Metric

if TYPE_CHECKING:
    from robotrain.cli.watch.live_lines import LiveLines

LineFormat = Callable[[str], str | None]
"""Returns what a line of a log is shown as; None for a line that is not shown."""


DECIMAL = re.compile(r"-?\d+\.(\d+)(?:e[-+]?\d+)?", re.IGNORECASE)
NOT_A_NUMBER = re.compile(r"\bnan\b", re.IGNORECASE)
MAX_COMPARED_LINES = 50
"""How many lines before the metrics of a step are searched for them."""


class LogLineFormat:
    """Formats the lines of one log for people; metrics that the program itself has just printed are left out.

    :param declared: the metrics of the run's workload.
    """

    def __init__(self, declared: Sequence[Metric]) -> None:
        self._declared = declared
        self._printed = deque[str](maxlen=MAX_COMPARED_LINES)
        """The last lines that the program printed, from that of the last step whose metrics it printed."""
        self._place: tuple[str, int | None] = ("", None)
        self._repeated_places = deque[tuple[str, int | None]](maxlen=MAX_COMPARED_LINES)
        """The last steps whose metrics the program printed: a file may report them once more, later."""

    def __call__(self, line: str) -> str | None:
        """Return a line as it is shown; None for an event that is not shown by itself, or repeats lines."""
        record = event.parse_event(line)
        if record is None:
            self._printed.append(line)
            return line
        if isinstance(record.event, event.Metrics) and self._repeats_lines(record, record.event):
            return None
        text = describe_event(record.event, self._declared)
        return label_step(record, f"[robotrain] {text}") if text else None

    def _repeats_lines(self, record: event.EventRecord, metrics: event.Metrics) -> bool:
        """Whether one of the last lines has one of the values, rounded.

        Events may follow several steps later, so that the lines of later steps stay to be compared.
        """
        if metrics.step is None or not metrics.values:  # without values, the step is reported before its line
            return False
        if (position := (record.pipeline_step, metrics.step)) != self._place:
            self._place = position
            repeated_index = next((index for index, line in enumerate(self._printed) if has_value(line, metrics)), None)
            if repeated_index is not None and position not in self._repeated_places:
                self._repeated_places.append(position)
            for _ in range(repeated_index or 0):
                self._printed.popleft()
        return position in self._repeated_places


def has_value(line: str, metrics: event.Metrics) -> bool:
    """Return whether a line has one of the values, rounded; a whole number needs two decimals to count."""
    if any(map(math.isnan, metrics.values.values())) and NOT_A_NUMBER.search(line):
        return True
    for decimal_match in DECIMAL.finditer(line):
        number, digits = float(decimal_match[0]), len(decimal_match[1])
        for metric_value in metrics.values.values():
            if (
                math.isfinite(metric_value)
                and round(metric_value, digits) == number
                and (metric_value % 1 or digits > 1)
            ):
                return True
    return False


def label_step(record: event.EventRecord, text: str) -> str:
    """Return a text about an event, with the step of a pipeline that it belongs to before it."""
    return f"[{record.pipeline_step}] {text}" if record.pipeline_step else text


def format_json_line(line: str) -> str:
    """Return the JSON object of an event, and of an ordinary line `{"line": …}`."""
    return json.dumps({"line": line}) if event.parse_event(line) is None else line.removeprefix(event.PREFIX)


METRICS_SECONDS = 1.0
"""The shortest time between two progress lines of one run: catching up with a long log prints few lines."""

LineWriter = Callable[[str], bool]
"""Writes a line; returns False when the reader has gone."""


class Renderer:
    """An observer that renders one thing at a time, whichever thread reports it; silent once closed."""

    shows_past = True
    """Whether lines of before it began are rendered."""

    def __init__(self, write: LineWriter) -> None:
        self.reader_gone = threading.Event()
        self.error: OSError | None = None
        """Why nothing can be written, such as a full disk."""
        self._write = write
        self._lock = threading.RLock()
        self._closed = False

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *how: object) -> None:
        with self._lock:
            self._closed = True

    def on_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        """Render a line of the log."""
        self._call_locked(self._render_line, followed, text, record)

    def on_state(self, followed: FollowedRun) -> None:
        """Render a new state, or the end."""
        self._call_locked(self._render_state, followed)

    def on_trouble(self, followed: FollowedRun, text: str) -> None:
        """Render what does not work."""
        self._call_locked(self._render_trouble, followed, text)

    def on_tick(self) -> None:
        """Render what is due; raise OSError when nothing can be written any more."""
        self._call_locked(self._render_tick)
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

    def _render_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        """Render a line of the log; called under the lock, as are the following."""

    def _render_state(self, followed: FollowedRun) -> None:
        """Render a new state, or the end."""

    def _render_trouble(self, followed: FollowedRun, text: str) -> None:
        print_message(f"warning: {text}")

    def _render_tick(self) -> None:
        """Render what is due."""


def omit_printed(text: str, printed: str) -> str:
    """Return a progress line without what the line before it says: of a step with a validation, the validation."""
    added_text = text.removeprefix(printed)
    return added_text.lstrip() if printed and added_text != text and added_text.startswith("  ") else text


class SilentRenderer(Renderer):
    """Writes nothing: the dashboard draws the runs."""

    shows_past = False

    def _render_trouble(self, followed: FollowedRun, text: str) -> None:
        """Leave it to the dashboard."""


class EndRenderer(Renderer):
    """Writes only what does not work: the runs have ended, and a summary follows."""

    shows_past = False


class LogRenderer(Renderer):
    """Writes the log of one run."""

    def __init__(self, write: LineWriter, line_format: LineFormat | None = None) -> None:
        super().__init__(write)
        self._line_format = line_format

    def _render_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        self._line_format = self._line_format or LogLineFormat(followed.record.metrics)
        if (shown_text := self._line_format(text)) is not None:
            self.write(shown_text)


class ChangeRenderer(Renderer):
    """Writes a line for each change, with the name of the run.

    :param has_summary: a summary follows: why a run ended is left to it.
    """

    def __init__(self, write: LineWriter, has_summary: bool = False) -> None:
        super().__init__(write)
        self._has_summary = has_summary
        self._last_written: dict[str, float] = {}
        self._pending: dict[str, str] = {}
        self._last_text: dict[str, str] = {}

    def _render_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        if record is None or is_end(record):  # the logs of several runs at once are unreadable; the state is rendered
            return
        run = followed.record.run
        if isinstance(record.event, event.Metrics):
            progress = followed.get_step_progress(record.pipeline_step)
            if is_step_event(record.event):
                self._pending[run] = label_step(record, progress.format_line())
                self._render_tick()
        elif description := describe_event(record.event, followed.record.metrics):
            self._write_pending(run)
            self.write(f"{run}  {to_plain_line(label_step(record, description))}")

    def _render_state(self, followed: FollowedRun) -> None:
        run = followed.record.run
        self._write_pending(run)
        state, reason = followed.reported_state
        if followed.is_over and self._has_summary:
            reason = ""
        elif state == followed.status.state and followed.status.exit_code is not None:
            state += f", exit code {followed.status.exit_code}"
        self.write(f"{run}  {to_plain_line(': '.join(filter(None, (state, reason))))}")

    def _render_tick(self) -> None:
        for run in list(self._pending):
            if time.monotonic() - self._last_written.get(run, -METRICS_SECONDS) >= METRICS_SECONDS:
                self._write_pending(run)

    def _write_pending(self, run: str) -> None:
        pending_text = self._pending.pop(run, "")
        if pending_text and pending_text != self._last_text.get(run):
            shown_text = omit_printed(pending_text, self._last_text.get(run, ""))
            self._last_text[run] = pending_text
            self._last_written[run] = time.monotonic()
            self.write(f"{run}  {shown_text}")


class JsonRenderer(Renderer):
    """Writes a JSON object for each event and each change of state; the keys are an API."""

    def _render_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        if record is not None:
            kind = event.EVENT_NAMES[type(record.event)]
            step = {event.PIPELINE_STEP: record.pipeline_step} if record.pipeline_step else {}
            self._write_object(followed, kind, record.time, step | dataclasses.asdict(record.event))

    def _render_state(self, followed: FollowedRun) -> None:
        status, (state, reason) = followed.status, followed.reported_state
        body: dict[str, Any] = {"state": state, "reason": reason, "exit_code": status.exit_code}
        body |= {"started": status.started, "ended": status.ended, "over": followed.is_over}  # the last object is over
        self._write_object(followed, "state", time.time(), body)

    def _render_trouble(self, followed: FollowedRun, text: str) -> None:
        self._write_object(followed, "trouble", time.time(), {"text": text})

    def _write_object(self, followed_run: FollowedRun, change: str, timestamp: float, body: dict[str, Any]) -> None:
        change_data = {"run": followed_run.record.run, "change": change, "time": timestamp, **body}
        self.write(json.dumps(event.make_json_safe(change_data), allow_nan=False))


def is_step_event(run_event: event.Event) -> bool:
    """Whether an event only says how far the run is."""
    return isinstance(run_event, event.Download) or (
        isinstance(run_event, event.Metrics) and run_event.step is not None
    )


def is_end(record: event.EventRecord) -> bool:
    """Whether an event is the end of the run itself, not of a step of a pipeline."""
    return isinstance(record.event, event.Outcome) and not record.pipeline_step


REDRAW_SECONDS = 0.1


class LiveLineRenderer(Renderer):
    """Writes events on stderr, and the progress: on a terminal as a last line that is redrawn."""

    def __init__(self) -> None:
        super().__init__(print_message_line)
        self._live: LiveLines | None = None
        self._has_begun = False
        self._text = self._place = self._printed_place = ""
        self._printed_at = -METRICS_SECONDS

    def __enter__(self) -> LiveLineRenderer:
        if output.is_live(sys.stderr):
            from robotrain.cli.watch.live_lines import LiveLines

            self._live = LiveLines(
                sys.stderr, lambda *size: [[f"  {self._text}"]] if self._text else [], REDRAW_SECONDS
            )
            self._live.start()
        return self

    def __exit__(self, *how: object) -> None:
        if self._live:
            self._live.stop()
        self._call_locked(self._print_progress)
        super().__exit__(*how)

    def _render_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        if record is None:
            is_first = followed.progress.stage == "work" and not self._has_begun  # what happens before the first step
            self._has_begun |= is_first
            if followed.progress.stage == "environment" or is_first:
                self._print_above(f"  {to_plain_line(text)}")
        elif is_step_event(record.event) or (is_end(record) and followed.progress.step is not None):
            progress = followed.get_step_progress(record.pipeline_step)
            self._place = label_step(record, progress.format_line(has_ended=True))
            self._text = self._place if is_end(record) else label_step(record, progress.format_line())
            self._render_tick()
        elif description := self._describe_event(followed, record):
            self._print_above(to_plain_line(label_step(record, description)))

    def _describe_event(self, followed_run: FollowedRun, record: event.EventRecord) -> str:
        """Describe an event without what the summary shows; work with low scores has not failed."""
        evaluated = followed_run.get_step_progress(record.pipeline_step).evaluated
        match record.event:
            case event.Metrics() | event.Outcome():
                return ""
            case event.StageEvent(name="work", state="failed") as stage if evaluated and evaluated.passed is False:
                return describe_event(dataclasses.replace(stage, state="done"))
            case event.Evaluated() as told:
                return describe_event(dataclasses.replace(told, scores={}, conditions=""))
        return describe_event(record.event, followed_run.record.metrics)

    def _render_state(self, followed: FollowedRun) -> None:
        if not followed.is_over and followed.status.reason:  # the summary shows how it ended
            self._print_above(f"{followed.status.state}: {to_plain_line(followed.status.reason)}")

    def _render_trouble(self, followed: FollowedRun, text: str) -> None:
        self._print_above(f"warning: {text}")

    def _print_above(self, text: str) -> None:
        if self._live:
            self._live.print_above(text)
        else:
            self._print_progress()
            print_message(text)

    def _render_tick(self) -> None:
        if time.monotonic() - self._printed_at >= METRICS_SECONDS:
            self._print_progress()

    def _print_progress(self) -> None:
        """Print the progress where no live line shows it, unless only the time left is another."""
        if not self._live and self._place != self._printed_place:
            shown_text = omit_printed(self._place, self._printed_place)
            print_message(f"  {self._text if shown_text == self._place else shown_text}")
            self._printed_place, self._printed_at = self._place, time.monotonic()
