"""One rule for everything that is asked again: how long to wait, when to give up, and what to say then."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from robotrain_sources.fetching.answer import Refused
from robotrain_sources.transfer.meter import Meter
from robotrain_sources.transfer.origin import Entry
from robotrain_sources.transfer.part import Part
from robotrain_sources.transfer.request import Patience
from robotrain_sources.transfer.room import Room
from robotrain_sources.transfer.trouble import Different, gone, may_pass

TRIES = 4
"""How often a file may arrive as another one than was listed."""

T = TypeVar("T")


class Attempts:
    """Of all requests of one transfer."""

    def __init__(self, patience: Patience, room: Room, meter: Meter) -> None:
        self._patience = patience
        self._room = room
        self._meter = meter

    async def until_done(self, part: Part, entry: Entry, act: Callable[[], Awaitable[T]]) -> T:
        """What `act` brings, at last. Raises Refused, and the operating system's OSError."""
        failed = different = 0
        while True:
            try:
                return await act()
            except Exception as error:
                different += isinstance(error, Different)
                self._weigh(error, part, entry, different)
            await asyncio.sleep(self._pause(failed))
            failed += 1

    def _weigh(self, error: Exception, part: Part, entry: Entry, different: int) -> None:
        """Raises what is to be told when there is no point in another try."""
        if isinstance(error, OSError) and error.errno:
            raise error
        if became := gone(error):
            raise Refused(f"{entry.name} of {part.name} was {became} while it was fetched: start the run again", "data")
        if not may_pass(error):
            raise part.origin.refused(error) from error
        if different >= TRIES:
            why = f"{entry.name} of {part.name} does not arrive as it is known there, tried {TRIES} times ({error})"
            raise Refused(f"{why}: it may have to be uploaded again", "data")
        if self._meter.quiet > self._patience.giving_up:
            refused = part.origin.refused(error)
            raise Refused(f"nothing has come for {self._meter.quiet:.0f} s: {refused}", "network") from error
        if not isinstance(error, Different):
            self._room.crowded()

    def _pause(self, failed: int) -> float:
        longest = min(self._patience.longest, self._patience.first * 2.0 ** min(failed, 16))
        return longest * random.uniform(0.5, 1.0)
