"""A log as it comes, to the end of the workflow, through streams that break off. Each line is told once."""

import time
from collections import deque
from collections.abc import Generator, Iterator

from robotrain.run import Reference

from robotrain_osmo.cli import refusals
from robotrain_osmo.cli.refusals import Refused
from robotrain_osmo.watch import lines as read
from robotrain_osmo.watch import logs_stream, status_asked
from robotrain_osmo.watch.states import Workflow

BEGIN_SECONDS = 3.0
"""Between two looks for its beginning."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds until a stream that ended is asked for again: longer while it brings nothing."""
LOOK_SECONDS = 30.0
"""Of silence, until it is asked whether the workflow goes on: a stream may hang."""
CATCH_UP_SECONDS = 15.0
"""For what is there already, where only the last lines of it are wanted."""
PATIENCE_SECONDS = 600.0
"""For an OSMO that cannot be reached: a network that is away comes back."""


class Following:
    """The log of a workflow as it comes. tail: only so many of the last lines of what there is at first."""

    def __init__(self, reference: Reference, tail: int | None) -> None:
        self._reference, self._tail = reference, tail
        self._shown = read.Shown()
        self._caught_up = False
        self._answered = time.monotonic()

    def lines(self) -> Iterator[str]:
        """All of it, to the workflow's end. Raises RunGone, Rejected."""
        pause = FIRST_PAUSE
        while True:
            before, told = self._shown.count, self._asked()
            if told is not None and told.silent:
                time.sleep(BEGIN_SECONDS)
                continue
            if told is not None and (yield from self._stream(told)):
                return
            pause = FIRST_PAUSE if self._shown.count > before else min(pause * 2, LONGEST_PAUSE)
            time.sleep(pause)

    def _asked(self) -> Workflow | None:
        """How it is; None where OSMO cannot be reached for the moment."""
        try:
            told = status_asked.ask(self._reference)
        except Refused as refused:
            self._bear(refused)
            return None
        self._answered = time.monotonic()
        return told

    def _stream(self, told: Workflow) -> Generator[str, None, bool]:
        """What is new of one stream; answers whether that was the last of it."""
        try:
            with logs_stream.opened(self._reference) as log:
                yield from self._told(self._new(logs_stream.raw(log)))
        except Refused as refused:
            if told.finished and told.started is None:  # there is none, and OSMO may say so as an error
                return True
            self._bear(refused)
            return False
        return told.finished

    def _told(self, found: Iterator[str | None]) -> Iterator[str]:
        """The lines as they are shown; of those that are there at first only the last, where only they are wanted."""
        wanted, held, began = self._tail, deque[str](maxlen=self._tail), time.monotonic()
        for raw in found:
            self._caught_up = self._caught_up or raw is None or time.monotonic() - began > CATCH_UP_SECONDS
            if wanted is not None and self._caught_up:
                yield from held
                wanted = self._tail = None
            if raw is None:
                continue
            if wanted is not None:
                held.append(read.text(raw))
            else:
                yield read.text(raw)
                if self._shown.count == read.KEPT and not self._caught_up:
                    yield read.TRIMMED
        if wanted is not None:
            self._tail = None
            yield from held

    def _new(self, raws: Iterator[str | None]) -> Iterator[str | None]:
        """The lines of a stream that were not told, and None in a silence; a stream that only hangs is left."""
        self._shown.begin()
        heard = time.monotonic()
        for raw in raws:
            if raw is None:
                yield None
                if time.monotonic() - heard > LOOK_SECONDS:
                    if (told := self._asked()) is not None and told.finished:
                        return
                    heard = time.monotonic()
                continue
            heard = time.monotonic()
            if self._shown.is_new(raw):
                yield raw

    def _bear(self, refused: Refused) -> None:
        """Raise what does not pass by itself, or has not for long."""
        if refused.refusal.code not in refusals.UNREACHABLE or time.monotonic() - self._answered > PATIENCE_SECONDS:
            raise refused
