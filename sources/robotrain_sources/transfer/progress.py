"""How far a transfer is: events, lines of the log, and when bytes last came."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

UNITS = ("kB", "MB", "GB", "TB")
"""The bytes of a disk that a download leaves free."""


def format_size(count: float) -> str:
    """Bytes as people read them."""
    if count < 1000:
        return f"{count:.0f} bytes"
    power = min((len(f"{count:.0f}") - 1) // 3, len(UNITS))
    return f"{count / 1000**power:.1f} {UNITS[power - 1]}"


EVENT_SECONDS, LINE_SECONDS, RATE_SECONDS = 0.5, 5.0, 5.0


class ProgressMeter:
    """done, total: bytes. tell: gets done, total and the bytes a second of late."""

    def __init__(self, done: int, total: int, on_progress: Callable[[int, int, float], None]) -> None:
        self._done, self._total = done, total
        self._on_progress = on_progress
        self._started = self._last_arrival = time.monotonic()
        self._initial_bytes = done
        self._recent = deque([(self._started, done)])

    def add_bytes(self, count: int) -> None:
        """Bytes came; fewer than none when some have to come again."""
        self._done += count
        if count > 0:
            self._last_arrival = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        """For how many seconds nothing has come."""
        return time.monotonic() - self._last_arrival

    async def run(self) -> None:
        """Tell for ever."""
        said = self._started
        while True:
            await asyncio.sleep(EVENT_SECONDS)
            now, rate = time.monotonic(), self._compute_rate()
            self._on_progress(self._done, self._total, rate)
            if now - said >= LINE_SECONDS:
                said = now
                print(self._format_line(rate), flush=True)

    def finish(self, files: int) -> None:
        """Tell that everything is there."""
        self._on_progress(self._total, self._total, self._compute_rate())
        seconds, came = time.monotonic() - self._started, max(0, self._done - self._initial_bytes)
        print(f"fetched {format_size(came)} in {seconds:.1f} s: {files:,} files, each one verified", flush=True)

    def _compute_rate(self) -> float:
        now = time.monotonic()
        self._recent.append((now, self._done))
        while len(self._recent) > 2 and now - self._recent[0][0] > RATE_SECONDS:
            self._recent.popleft()
        since, done = self._recent[0]
        return max(0.0, (self._done - done) / (now - since)) if now > since else 0.0

    def _format_line(self, rate: float) -> str:
        far = f"fetching: {format_size(self._done)} of {format_size(self._total)}, {format_size(rate)}/s"
        if not rate:
            return f"{far}, nothing came for {self.idle_seconds:.0f} s"
        return f"{far}, {_format_duration((self._total - self._done) / rate)} left"


def _format_duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 100 else f"{minutes} min" if minutes < 100 else f"{minutes / 60:.0f} h"
