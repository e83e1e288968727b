"""What is told of reading a folder that takes a while: a line now and then."""

import sys
import threading
import time
from pathlib import Path

FIRST, EVERY = 3.0, 10.0
"""Seconds until it is told at all, and between two lines then."""


class Progress:
    """total: bytes of the folder. Hears of bytes from several threads; tells where it is asked to."""

    def __init__(self, folder: Path, total: int) -> None:
        self._folder, self._total, self._there = folder, total, 0
        self._next, self._said = time.monotonic() + FIRST, False
        self._lock = threading.Lock()

    def came(self, count: int) -> None:
        """So many bytes more."""
        with self._lock:
            self._there += count

    def tell(self) -> None:
        """A line, when it is time for one."""
        from robotrain.amounts import size

        if time.monotonic() < self._next:
            return
        if not self._said:
            _say(f"reading all of {self._folder}: the next time only what was written to since")
        self._next, self._said = time.monotonic() + EVERY, True
        share = min(100, self._there * 100 // max(1, self._total))
        _say(f"  {share} %: {size(self._there)} of {size(self._total)}")


def _say(line: str) -> None:
    """To whoever waits."""
    print(line, file=sys.stderr, flush=True)
