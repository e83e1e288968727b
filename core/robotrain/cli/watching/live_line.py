"""One run told while it goes on: on a terminal a line that renews itself below those that stay, else line by line."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import dataclasses
import sys
import time
from typing import TYPE_CHECKING

from robotrain_runtime import event

from robotrain.cli import terminal
from robotrain.cli.columns import cut, plain
from robotrain.cli.output import say, say_line
from robotrain.cli.watching.telling import METRICS_SECONDS, Telling, is_step
from robotrain.progress import Progress

if TYPE_CHECKING:
    from robotrain.cli.watching.followed import Followed

RENEWED_SECONDS = 0.1


class LiveLine(Telling):
    """Narration, on standard error."""

    def __init__(self) -> None:
        super().__init__(say_line)
        self._live = terminal.is_live(sys.stderr)
        self._began = False
        self._shown = self._drawn = self._said = ""
        self._drawn_at = -METRICS_SECONDS

    def __exit__(self, *how: object) -> None:
        self._one_at_a_time(self._settle)
        super().__exit__(*how)

    def take_line(self, followed: Followed, text: str, found: event.Record | None) -> None:
        """Events, what is built while the environment is, and what the work begins with."""
        if found is None:
            if followed.progress.stage == "environment" or self._begins(followed):
                self._above(f"  {plain(text)}")
        elif is_step(found.event, followed.progress):
            self._renew(followed.progress.line())
        elif not isinstance(found.event, event.Metrics | event.Outcome) and (said := self._described(followed, found)):
            self._above(plain(said))

    def _begins(self, followed: Followed) -> bool:
        """Whether this is the first line of the work: what takes so long until the first step."""
        if followed.progress.stage != "work" or self._began:
            return False
        self._began = True
        return True

    def _described(self, followed: Followed, found: event.Record) -> str:
        """Work that was done, and found less than was demanded, did not fail; scores are the summary's to say."""
        known = followed.progress.evaluated
        match found.event:
            case event.Stage(name="work", state="failed") as stage if known and known.passed is False:
                return Progress.describe(dataclasses.replace(stage, state="done"))
            case event.Evaluated() as told:
                return Progress.describe(dataclasses.replace(told, scores={}, conditions=""))
        return Progress.describe(found.event, followed.record.metrics)

    def take_state(self, followed: Followed) -> None:
        """What it waits for; how it ended is the summary's to say."""
        if not followed.over and followed.status.reason:
            self._above(f"{followed.status.state}: {plain(followed.status.reason)}")

    def take_trouble(self, followed: Followed, text: str) -> None:
        """What does not work."""
        self._above(f"warning: {text}")

    def _above(self, text: str) -> None:
        """A line that stays."""
        if self._live:
            self._clear()
        elif self._shown:
            self._settle()
        say(text)
        self._draw()

    def take_tick(self) -> None:
        """What was held back long enough."""
        if self._shown != self._drawn:
            self._renew(self._shown)

    def _renew(self, text: str) -> None:
        self._shown = text
        due = RENEWED_SECONDS if self._live else METRICS_SECONDS
        if time.monotonic() - self._drawn_at >= due:
            self._draw() if self._live else self._settle()

    def _settle(self) -> None:
        """The last of them stays."""
        if self._live:
            self._clear()
        if self._shown and self._shown != self._said:
            say(f"  {self._shown}")
            self._said = self._shown
        self._drawn_at = time.monotonic()
        self._shown = self._drawn = ""

    def _clear(self) -> None:
        sys.stderr.write("\r\x1b[K")

    def _draw(self) -> None:
        if self._live and self._shown:
            width = terminal.size(sys.stderr)[0] - 1  # a line that wraps could not be renewed
            sys.stderr.write("\r" + cut(f"  {self._shown}", width) + "\x1b[K")
            sys.stderr.flush()
            self._drawn, self._drawn_at = self._shown, time.monotonic()
