"""What is told of runs that are followed, line by line: on a terminal, into a pipe, to a program."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from robotrain_runtime import event

from robotrain.cli.columns import plain
from robotrain.cli.output import say
from robotrain.cli.watching.events import Shape, readable
from robotrain.progress import Progress

if TYPE_CHECKING:
    from robotrain.cli.watching.followed import Followed

METRICS_SECONDS = 1.0
"""Between two lines of one run that only say how far it is: whoever comes late to a long log is not told all of it."""

Write = Callable[[str], bool]
"""Takes a line; False when nobody reads any more."""


class Telling:
    """Tells one thing at a time, whichever thread brings it; silent once closed. unread: nobody reads any more. error:
    why nothing could be told, as on a full disk.
    """

    def __init__(self, write: Write) -> None:
        self.unread = threading.Event()
        self.error: OSError | None = None
        self._write = write
        self._lock = threading.RLock()
        self._closed = False

    def __enter__(self) -> Telling:
        return self

    def __exit__(self, *how: object) -> None:
        with self._lock:
            self._closed = True

    def line(self, followed: Followed, text: str, found: event.Record | None) -> None:
        """A line of the log."""
        self._one_at_a_time(self.take_line, followed, text, found)

    def state(self, followed: Followed) -> None:
        """The state changed, or the run is over."""
        self._one_at_a_time(self.take_state, followed)

    def trouble(self, followed: Followed, text: str) -> None:
        """Something does not work."""
        self._one_at_a_time(self.take_trouble, followed, text)

    def tick(self) -> None:
        """Time went by. Raises OSError when nothing can be told any more."""
        self._one_at_a_time(self.take_tick)
        if self.error:
            raise self.error

    def _one_at_a_time(self, take: Callable[..., None], *what: Any) -> None:
        with self._lock:
            if self._closed or self.error:
                return
            try:
                take(*what)
            except OSError as error:  # in a thread of a run's: whoever waits for all of them is told
                self.error = error

    def write(self, text: str) -> None:
        """A line for whoever reads."""
        if not self._write(text):
            self.unread.set()

    def take_line(self, followed: Followed, text: str, found: event.Record | None) -> None:
        """The same, one at a time."""

    def take_state(self, followed: Followed) -> None:
        """The same, one at a time."""

    def take_trouble(self, followed: Followed, text: str) -> None:
        """The same, one at a time."""
        say(f"warning: {text}")

    def take_tick(self) -> None:
        """The same, one at a time."""


class Quiet(Telling):
    """Nothing: somebody else draws it."""

    def take_trouble(self, followed: Followed, text: str) -> None:
        """Drawn too."""


class LogLines(Telling):
    """The log as it comes. shape: what a line is shown as, None for those that are not."""

    def __init__(self, write: Write, shape: Shape | None = None) -> None:
        super().__init__(write)
        self._shape = shape

    def take_line(self, followed: Followed, text: str, found: event.Record | None) -> None:
        """Every line that says something."""
        shown = self._shape(text) if self._shape else readable(text, followed.record.metrics)
        if shown is not None:
            self.write(shown)


class Changes(Telling):
    """A line a change, each with the name of its run."""

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self._last: dict[str, float] = {}
        self._held: dict[str, str] = {}
        self._said: dict[str, str] = {}

    def take_line(self, followed: Followed, text: str, found: event.Record | None) -> None:
        """Events only: where several runs speak at once, a log cannot be read."""
        if found is None:
            return
        run = followed.record.run
        if isinstance(found.event, event.Metrics):
            if is_step(found.event, followed.progress):
                self._step(run, followed.progress.line())
        elif said := Progress.describe(found.event, followed.record.metrics):
            self._release(run)
            self.write(f"{run}  {plain(said)}")

    def take_state(self, followed: Followed) -> None:
        """What it waits for, or how it ended."""
        run = followed.record.run
        self._release(run)
        self.write(f"{run}  {plain(' '.join(filter(None, followed.word)))}")

    def take_tick(self) -> None:
        """Lines that were held back long enough."""
        for run in list(self._held):
            if self._due(run):
                self._release(run)

    def _step(self, run: str, text: str) -> None:
        self._held[run] = text
        if self._due(run):
            self._release(run)

    def _due(self, run: str) -> bool:
        return time.monotonic() - self._last.get(run, -METRICS_SECONDS) >= METRICS_SECONDS

    def _release(self, run: str) -> None:
        text = self._held.pop(run, "")
        if text and text != self._said.get(run):  # the last may be told once more
            self._said[run] = text
            self._last[run] = time.monotonic()
            self.write(f"{run}  {text}")


class JsonLines(Telling):
    """A JSON object a change: every event, and the state. The keys are an API."""

    def take_line(self, followed: Followed, text: str, found: event.Record | None) -> None:
        """An event, by its own names."""
        if found is not None:
            kind = type(found.event).__name__.lower()
            self._object(followed, kind, found.time, dataclasses.asdict(found.event))

    def take_state(self, followed: Followed) -> None:
        """The state; `over` says that it is the last word."""
        status = followed.status
        body = {name: getattr(status, name) for name in ("state", "reason", "exit_code", "started", "ended")}
        state, reason = followed.word
        self._object(followed, "state", time.time(), body | {"state": state, "reason": reason, "over": followed.over})

    def take_trouble(self, followed: Followed, text: str) -> None:
        """What does not work."""
        self._object(followed, "trouble", time.time(), {"text": text})

    def _object(self, followed: Followed, change: str, at: float, body: dict[str, Any]) -> None:
        import json

        told = {"run": followed.record.run, "change": change, "time": at, **body}
        self.write(json.dumps(event.strict(told), allow_nan=False))


def is_step(happened: event.Event, known: Progress) -> bool:
    """Whether an event says how far the run is, and nothing else that a person would look for."""
    if isinstance(happened, event.Download):
        return True
    return isinstance(happened, event.Metrics) and happened.step is not None and not known.is_validated(happened.values)
