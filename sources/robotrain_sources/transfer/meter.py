"""How far a transfer is: an event twice a second, an ordinary line every few seconds, and when anything last came."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from robotrain_sources.fetching.progress import size

EVENTS, LINES, LATELY = 0.5, 5.0, 5.0


class Meter:
    """done, total: bytes. tell: gets done, total and the bytes a second of late."""

    def __init__(self, done: int, total: int, tell: Callable[[int, int, float], None]) -> None:
        self._done, self._total = done, total
        self._tell = tell
        self._began = self._came = time.monotonic()
        self._at_first = done
        self._lately = deque([(self._began, done)])

    def add(self, count: int) -> None:
        """Bytes came; fewer than none when some have to come again."""
        self._done += count
        if count > 0:
            self._came = time.monotonic()

    @property
    def quiet(self) -> float:
        """For how many seconds nothing has come."""
        return time.monotonic() - self._came

    async def look(self) -> None:
        """Tell for ever."""
        said = self._began
        while True:
            await asyncio.sleep(EVENTS)
            now, rate = time.monotonic(), self._rate()
            self._tell(self._done, self._total, rate)
            if now - said >= LINES:
                said = now
                print(self._line(rate), flush=True)

    def over(self, files: int) -> None:
        """Tell that everything is there."""
        self._tell(self._total, self._total, self._rate())
        seconds, came = time.monotonic() - self._began, max(0, self._done - self._at_first)
        print(f"fetched {size(came)} in {seconds:.1f} s: {files:,} files, each one verified", flush=True)

    def _rate(self) -> float:
        now = time.monotonic()
        self._lately.append((now, self._done))
        while len(self._lately) > 2 and now - self._lately[0][0] > LATELY:
            self._lately.popleft()
        since, done = self._lately[0]
        return max(0.0, (self._done - done) / (now - since)) if now > since else 0.0

    def _line(self, rate: float) -> str:
        far = f"fetching: {size(self._done)} of {size(self._total)}, {size(rate)}/s"
        if not rate:
            return f"{far}, nothing came for {self.quiet:.0f} s"
        return f"{far}, {_spell((self._total - self._done) / rate)} left"


def _spell(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 100 else f"{minutes} min" if minutes < 100 else f"{minutes / 60:.0f} h"
