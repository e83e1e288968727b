"""One large file: its ranges side by side, each written at its place, and digests that follow as far as it is there."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from robotrain_sources.transfer import check
from robotrain_sources.transfer.aside import Aside
from robotrain_sources.transfer.asking import CHUNK, Asking
from robotrain_sources.transfer.attempts import Attempts
from robotrain_sources.transfer.crew import Crew
from robotrain_sources.transfer.meter import Meter
from robotrain_sources.transfer.notes import Notes
from robotrain_sources.transfer.origin import Entry
from robotrain_sources.transfer.part import Part
from robotrain_sources.transfer.room import Room
from robotrain_sources.transfer.trouble import Different

MIB = 1 << 20
RANGE, MOST_RANGES = 8 * MIB, 1024
UNDER_WAY = 2 * CHUNK
"""What a request for a range holds in memory: the chunk that is being written, and the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a file is fetched with."""

    asking: Asking
    attempts: Attempts
    crew: Crew
    room: Room
    meter: Meter
    notes: Notes
    aside: Aside


@dataclass(eq=False, slots=True)
class Span:
    """A range. arrived: done once it is written."""

    start: int
    stop: int
    arrived: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Large:
    """One file. asked: set once everything of it is asked for."""

    def __init__(self, part: Part, entry: Entry, means: Means) -> None:
        self._part = part
        self._entry = entry
        self._means = means
        self.asked = asyncio.Event()

    async def fetch(self) -> None:
        """Fetch and verify it."""
        own = await self._means.attempts.until_done(self._part, self._entry, self._once)
        self._means.notes.file(self._part, self._entry, own)

    async def _once(self) -> str:
        handle = await self._means.aside(check.opened, self._part.files / self._entry.name)
        os.ftruncate(handle, self._entry.size)
        spans, missing = self._spans()
        self._means.crew.start(self._ask(handle, missing))
        digests = check.Digests(self._entry)
        for span in spans:
            await span.arrived
            await self._means.aside(digests.read, handle, span.start, span.stop)
        os.close(handle)  # not when it failed: a thread may still be writing to that number
        try:
            return digests.own()
        except Different:
            self._means.notes.not_a_byte(self._part, self._entry)
            self._means.meter.add(-self._entry.size)
            raise

    def _spans(self) -> tuple[list[Span], list[Span]]:
        """All ranges of the file, in order; and those of them that are not there yet."""
        spans, missing, at = [], [], 0
        for start, stop in self._part.catalog.ranges(self._entry.name):
            missing += (between := list(_cut(at, start, self._entry.size)))
            there = Span(start, stop)
            there.arrived.set_result(None)
            spans += [*between, there]
            at = stop
        missing += (rest := list(_cut(at, self._entry.size, self._entry.size)))
        return [*spans, *rest], missing

    async def _ask(self, handle: int, missing: Sequence[Span]) -> None:
        for span in missing:
            await self._means.room.enter(UNDER_WAY)
            self._means.crew.start(self._range(handle, span))
        self.asked.set()

    async def _range(self, handle: int, span: Span) -> None:
        at = span.start

        async def go_on() -> None:
            nonlocal at
            async for pieces in self._means.asking.span(self._part.origin, self._entry, at, span.stop):
                came = sum(map(len, pieces))
                if at + came > span.stop:
                    raise Different(f"more than {span.stop - span.start} bytes came of a part of it")
                await self._means.aside(check.put, handle, pieces, at)
                at += came
                self._means.meter.add(came)
            if at != span.stop:
                raise Different(f"a part of it ended at byte {at} instead of {span.stop}")

        try:
            await self._means.attempts.until_done(self._part, self._entry, go_on)
        finally:
            self._means.room.leave(UNDER_WAY)
        self._means.notes.range(self._part, self._entry, span.start, span.stop)
        span.arrived.set_result(None)


def _cut(start: int, stop: int, size: int) -> Iterator[Span]:
    most = max(RANGE, -(-size // MOST_RANGES))
    for at in range(start, stop, most):
        yield Span(at, min(at + most, stop))
