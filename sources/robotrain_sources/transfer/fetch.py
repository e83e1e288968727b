"""Fetches the files of several sources with one scheduler: small ones whole, large ones in ranges and first."""

import asyncio
import heapq
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from robotrain_sources.transfer import check, large
from robotrain_sources.transfer.aside import Aside
from robotrain_sources.transfer.asking import Asking
from robotrain_sources.transfer.attempts import Attempts
from robotrain_sources.transfer.crew import Crew
from robotrain_sources.transfer.meter import Meter
from robotrain_sources.transfer.notes import Notes
from robotrain_sources.transfer.origin import Entry
from robotrain_sources.transfer.part import Part
from robotrain_sources.transfer.request import Patience
from robotrain_sources.transfer.room import Room
from robotrain_sources.transfer.watch import Watch

SMALL = large.MIB


class Fetch:
    """The files of `parts` that are not there yet. pool: for what takes the disk and the processor. mib: of memory."""

    def __init__(
        self, parts: Sequence[Part], meter: Meter, patience: Patience, mib: int, pool: ThreadPoolExecutor
    ) -> None:
        self._parts = parts
        self._watch = Watch(patience.stall)
        room = Room(mib * large.MIB)
        self._means = large.Means(
            asking=Asking((part.origin for part in parts), self._watch),
            attempts=Attempts(patience, room, meter),
            crew=Crew(),
            room=room,
            meter=meter,
            notes=Notes(parts),
            aside=Aside(pool),
        )

    async def run(self) -> None:
        """Fetch and verify all of it. Raises Refused, the operating system's OSError, sqlite3.Error."""
        means = self._means
        means.crew.start(self._schedule())
        looks = [asyncio.ensure_future(look()) for look in (self._watch.look, means.meter.look, means.notes.look)]
        try:
            await means.crew.finish()
        finally:
            for look in looks:
                look.cancel()
            means.notes.write()

    async def _schedule(self) -> None:
        """Begin with one after the other, as there is room."""
        for part, entry in heapq.merge(*map(_left, self._parts), key=lambda file: -file[1].size):
            if entry.size > SMALL:
                file = large.Large(part, entry, self._means)
                self._means.crew.start(file.fetch())
                await file.asked.wait()
            else:
                await self._means.room.enter(entry.size)
                self._means.crew.start(self._small(part, entry))

    async def _small(self, part: Part, entry: Entry) -> None:
        means, path = self._means, part.files / entry.name

        async def once() -> str:
            content = await means.asking.whole(part.origin, entry) if entry.size else b""
            return await means.aside(check.whole, path, entry, content)

        try:
            own = await means.attempts.until_done(part, entry, once)
        finally:
            means.room.leave(entry.size)
        means.notes.file(part, entry, own)
        means.meter.add(entry.size)


def _left(part: Part) -> Iterator[tuple[Part, Entry]]:
    return ((part, entry) for entry in part.catalog.left())
