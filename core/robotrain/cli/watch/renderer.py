"""Renderers of followed runs: log lines, changes, JSON lines, and a live line on a terminal."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract import event

from robotrain.cli import output
from robotrain.cli.columns import to_plain_line, truncate
from robotrain.cli.output import print_message, print_message_line
from robotrain.model.progress import Progress
from robotrain.model.workload import Metric

if TYPE_CHECKING:
    from robotrain.cli.watch.follower import FollowedRun

LineFormat = Callable[[str], str | None]
"""What a line of a log is shown as; None for one that is not."""


def format_log_line(line: str, declared: Sequence[Metric] = ()) -> str | None:
    """For a person; None for an event that says nothing by itself. declared: the metrics of the run's workload."""
    found = event.parse_event(line)
    if found is None:
        return line
    text = Progress.describe_event(found.event, declared)
    return f"[robotrain] {text}" if text else None


def format_json_line(line: str) -> str:
    """The event as the object it is, an ordinary line as `{"line": …}`."""
    import json

    return json.dumps({"line": line}) if event.parse_event(line) is None else line.removeprefix(event.PREFIX)


METRICS_SECONDS = 1.0
"""Between two lines of one run that only say how far it is: whoever comes late to a long log is not told all of it."""

LineWriter = Callable[[str], bool]
"""Takes a line; False when nobody reads any more."""


class Renderer:
    """Tells one thing at a time, whichever thread brings it; silent once closed. unread: nobody reads any more. error:
    why nothing could be told, as on a full disk.
    """

    def __init__(self, write: LineWriter) -> None:
        self.reader_gone = threading.Event()
        self.error: OSError | None = None
        self._write = write
        self._lock = threading.RLock()
        self._closed = False

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *how: object) -> None:
        with self._lock:
            self._closed = True

    def on_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        """A line of the log."""
        self._call_locked(self.render_line, followed, text, record)

    def on_state(self, followed: FollowedRun) -> None:
        """The state changed, or the run is over."""
        self._call_locked(self.render_state, followed)

    def on_trouble(self, followed: FollowedRun, text: str) -> None:
        """Something does not work."""
        self._call_locked(self.render_trouble, followed, text)

    def on_tick(self) -> None:
        """Time went by. Raises OSError when nothing can be told any more."""
        self._call_locked(self.render_tick)
        if self.error:
            raise self.error

    def _call_locked(self, function: Callable[..., None], *what: Any) -> None:
        with self._lock:
            if self._closed or self.error:
                return
            try:
                function(*what)
            except OSError as error:  # in a thread of a run's: whoever waits for all of them is told
                self.error = error

    def write(self, text: str) -> None:
        """A line for whoever reads."""
        if not self._write(text):
            self.reader_gone.set()

    def render_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        """The same, one at a time."""

    def render_state(self, followed: FollowedRun) -> None:
        """The same, one at a time."""

    def render_trouble(self, followed: FollowedRun, text: str) -> None:
        """The same, one at a time."""
        print_message(f"warning: {text}")

    def render_tick(self) -> None:
        """The same, one at a time."""


class SilentRenderer(Renderer):
    """Nothing: somebody else draws it."""

    def render_trouble(self, followed: FollowedRun, text: str) -> None:
        """Drawn too."""


class LogRenderer(Renderer):
    """The log as it comes. shape: what a line is shown as, None for those that are not."""

    def __init__(self, write: LineWriter, line_format: LineFormat | None = None) -> None:
        super().__init__(write)
        self._line_format = line_format

    def render_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        """Every line that says something."""
        shown = self._line_format(text) if self._line_format else format_log_line(text, followed.record.metrics)
        if shown is not None:
            self.write(shown)


class ChangeRenderer(Renderer):
    """A line a change, each with the name of its run."""

    def __init__(self, write: LineWriter) -> None:
        super().__init__(write)
        self._last_written: dict[str, float] = {}
        self._pending: dict[str, str] = {}
        self._last_text: dict[str, str] = {}

    def render_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        """Events only: where several runs speak at once, a log cannot be read."""
        if record is None:
            return
        run = followed.record.run
        if isinstance(record.event, event.Metrics):
            if is_step_event(record.event, followed.progress):
                self._update_step(run, followed.progress.format_line())
        elif said := Progress.describe_event(record.event, followed.record.metrics):
            self._write_pending(run)
            self.write(f"{run}  {to_plain_line(said)}")

    def render_state(self, followed: FollowedRun) -> None:
        """What it waits for, or how it ended."""
        run = followed.record.run
        self._write_pending(run)
        self.write(f"{run}  {to_plain_line(' '.join(filter(None, followed.reported_state)))}")

    def render_tick(self) -> None:
        """Lines that were held back long enough."""
        for run in list(self._pending):
            if self._is_due(run):
                self._write_pending(run)

    def _update_step(self, run: str, text: str) -> None:
        self._pending[run] = text
        if self._is_due(run):
            self._write_pending(run)

    def _is_due(self, run: str) -> bool:
        return time.monotonic() - self._last_written.get(run, -METRICS_SECONDS) >= METRICS_SECONDS

    def _write_pending(self, run: str) -> None:
        text = self._pending.pop(run, "")
        if text and text != self._last_text.get(run):  # the last may be told once more
            self._last_text[run] = text
            self._last_written[run] = time.monotonic()
            self.write(f"{run}  {text}")


class JsonRenderer(Renderer):
    """A JSON object a change: every event, and the state. The keys are an API."""

    def render_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        """An event, by its own names."""
        if record is not None:
            kind = event.EVENT_NAMES[type(record.event)]
            self._write_object(followed, kind, record.time, dataclasses.asdict(record.event))

    def render_state(self, followed: FollowedRun) -> None:
        """The state; `over` says that it is the last word."""
        status = followed.status
        body = {name: getattr(status, name) for name in ("state", "reason", "exit_code", "started", "ended")}
        state, reason = followed.reported_state
        self._write_object(
            followed, "state", time.time(), body | {"state": state, "reason": reason, "over": followed.is_over}
        )

    def render_trouble(self, followed: FollowedRun, text: str) -> None:
        """What does not work."""
        self._write_object(followed, "trouble", time.time(), {"text": text})

    def _write_object(self, followed: FollowedRun, change: str, at: float, body: dict[str, Any]) -> None:
        import json

        told = {"run": followed.record.run, "change": change, "time": at, **body}
        self.write(json.dumps(event.make_json_safe(told), allow_nan=False))


def is_step_event(found_event: event.Event, known: Progress) -> bool:
    """Whether an event says how far the run is, and nothing else that a person would look for."""
    if isinstance(found_event, event.Download):
        return True
    return (
        isinstance(found_event, event.Metrics)
        and found_event.step is not None
        and not known.has_validation(found_event.values)
    )


REDRAW_SECONDS = 0.1


class LiveLineRenderer(Renderer):
    """Narration, on standard error."""

    def __init__(self) -> None:
        super().__init__(print_message_line)
        self._live = output.is_live(sys.stderr)
        self._has_begun = False
        self._text = self._drawn_text = self._printed_text = ""
        self._drawn_at = -METRICS_SECONDS

    def __exit__(self, *how: object) -> None:
        self._call_locked(self._print_last_text)
        super().__exit__(*how)

    def render_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        """Events, what is built while the environment is, and what the work begins with."""
        if record is None:
            if followed.progress.stage == "environment" or self._is_first_work_line(followed):
                self._print_above(f"  {to_plain_line(text)}")
        elif is_step_event(record.event, followed.progress):
            self._update_line(followed.progress.format_line())
        elif not isinstance(record.event, event.Metrics | event.Outcome) and (
            said := self._describe_event(followed, record)
        ):
            self._print_above(to_plain_line(said))

    def _is_first_work_line(self, followed: FollowedRun) -> bool:
        """Whether this is the first line of the work: what takes so long until the first step."""
        if followed.progress.stage != "work" or self._has_begun:
            return False
        self._has_begun = True
        return True

    def _describe_event(self, followed: FollowedRun, record: event.EventRecord) -> str:
        """Work that was done, and found less than was demanded, did not fail; scores are the summary's to say."""
        known = followed.progress.evaluated
        match record.event:
            case event.StageEvent(name="work", state="failed") as stage if known and known.passed is False:
                return Progress.describe_event(dataclasses.replace(stage, state="done"))
            case event.Evaluated() as told:
                return Progress.describe_event(dataclasses.replace(told, scores={}, conditions=""))
        return Progress.describe_event(record.event, followed.record.metrics)

    def render_state(self, followed: FollowedRun) -> None:
        """What it waits for; how it ended is the summary's to say."""
        if not followed.is_over and followed.status.reason:
            self._print_above(f"{followed.status.state}: {to_plain_line(followed.status.reason)}")

    def render_trouble(self, followed: FollowedRun, text: str) -> None:
        """What does not work."""
        self._print_above(f"warning: {text}")

    def _print_above(self, text: str) -> None:
        """A line that stays."""
        if self._live:
            self._clear_line()
        elif self._text:
            self._print_last_text()
        print_message(text)
        self._draw_line()

    def render_tick(self) -> None:
        """What was held back long enough."""
        if self._text != self._drawn_text:
            self._update_line(self._text)

    def _update_line(self, text: str) -> None:
        self._text = text
        due = REDRAW_SECONDS if self._live else METRICS_SECONDS
        if time.monotonic() - self._drawn_at >= due:
            self._draw_line() if self._live else self._print_last_text()

    def _print_last_text(self) -> None:
        """The last of them stays."""
        if self._live:
            self._clear_line()
        if self._text and self._text != self._printed_text:
            print_message(f"  {self._text}")
            self._printed_text = self._text
        self._drawn_at = time.monotonic()
        self._text = self._drawn_text = ""

    def _clear_line(self) -> None:
        sys.stderr.write("\r\x1b[K")

    def _draw_line(self) -> None:
        if self._live and self._text:
            width = output.get_terminal_size(sys.stderr)[0] - 1  # a line that wraps could not be renewed
            sys.stderr.write("\r" + truncate(f"  {self._text}", width) + "\x1b[K")
            sys.stderr.flush()
            self._drawn_text, self._drawn_at = self._text, time.monotonic()
