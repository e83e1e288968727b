"""Gives up requests that wait for bytes that do not come: one look a moment at all of them, instead of a timer each."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, TypeVar

from robotrain_sources.transfer.trouble import Stalled

T = TypeVar("T")


class Watch:
    """seconds: how long one wait may take."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[asyncio.Future[Any], float] = {}
        self._stalled: set[asyncio.Future[Any]] = set()

    async def bytes_of(self, answer: Awaitable[T]) -> T:
        """What `answer` brings. Raises Stalled when it takes too long."""
        waited = asyncio.ensure_future(answer)
        self._waiting[waited] = time.monotonic()
        try:
            return await waited
        except asyncio.CancelledError:
            if waited in self._stalled:
                raise Stalled(f"nothing came for {self._seconds:g} s") from None
            waited.cancel()
            raise
        finally:
            del self._waiting[waited]
            self._stalled.discard(waited)

    async def look(self) -> None:
        """Look for ever."""
        pause = min(1.0, self._seconds / 4)
        while True:
            before = time.monotonic()
            await asyncio.sleep(pause)
            late = time.monotonic() - before - pause  # this process was busy itself: that is no stall
            for waited, since in list(self._waiting.items()):
                if late > pause:
                    self._waiting[waited] = time.monotonic()
                elif time.monotonic() - since > self._seconds:
                    self._stalled.add(waited)
                    waited.cancel()
