"""One rule for everything that is asked again: how long to wait, when to give up, and what to say then."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from robotrain_runtime.event import Fault

from robotrain_sources.fetching.answer import Refused
from robotrain_sources.transfer import failure
from robotrain_sources.transfer.meter import Meter
from robotrain_sources.transfer.origin import Entry
from robotrain_sources.transfer.part import Part
from robotrain_sources.transfer.request import Patience
from robotrain_sources.transfer.room import Room
from robotrain_sources.transfer.trouble import Different, gone, is_unknown, may_pass

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
        failed = different = unknown = 0
        while True:
            try:
                return await act()
            except Exception as error:
                different += isinstance(error, Different)
                unknown += is_unknown(error)
                self._weigh(error, part, entry, different)
                if not is_unknown(error) or unknown > 1:
                    _refuse_lasting(error, part)
            await asyncio.sleep(self._pause(failed))
            failed += 1

    def _weigh(self, error: Exception, part: Part, entry: Entry, different: int) -> None:
        """Raises what is to be told when there is no point in another try."""
        if failure.is_memory(error) or (isinstance(error, OSError) and error.errno):
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
            whose: Fault = "configuration" if refused.fault == "configuration" else "network"
            raise Refused(f"nothing has come for {self._meter.quiet:.0f} s: {refused}", whose) from error
        if not isinstance(error, Different):
            self._room.crowded()

    def _pause(self, failed: int) -> float:
        longest = min(self._patience.longest, self._patience.first * 2.0 ** min(failed, 16))
        return longest * random.uniform(0.5, 1.0)


def _refuse_lasting(error: Exception, part: Part) -> None:
    """Raises what waiting does not change: an ended SAS, a revoked token."""
    if isinstance(error, Different):
        return
    refused = part.origin.refused(error)
    if refused.fault == "configuration":
        raise refused from error
