"""How much may be under way at a time: so many requests, fewer when a service asks for that, and so many bytes."""

import asyncio
import time
from collections import deque

REQUESTS = 32
BETWEEN_CUTS = 1.0


class Room:
    """For requests and the bytes that they bring. Those that wait enter in the order they came."""

    def __init__(self, size: int, requests: int = REQUESTS) -> None:
        self._most = requests
        self._limit = float(requests)
        self._size = size
        self._under_way = self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._cut = 0.0

    async def enter(self, size: int) -> None:
        """Wait for room for one request that brings at most `size` bytes."""
        if not self._waiting and self._fits(size):
            self._take(size)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        await turn

    def leave(self, size: int) -> None:
        """Such a request is over, and its bytes are written."""
        self._limit = min(float(self._most), self._limit + 1 / self._limit)
        self._under_way -= 1
        self._held -= size
        self._admit()

    def crowded(self) -> None:
        """A service, or the way to it, has too much to do."""
        if time.monotonic() - self._cut > BETWEEN_CUTS:
            self._cut = time.monotonic()
            self._limit = max(1.0, self._limit / 2)

    def _fits(self, size: int) -> bool:
        return self._under_way < int(self._limit) and (self._held + size <= self._size or not self._held)

    def _take(self, size: int) -> None:
        self._under_way += 1
        self._held += size

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._take(size)
                turn.set_result(None)
