"""What is told of an upload while it goes on: a line now and then."""

import sys
import threading
import time
from types import TracebackType

from robotrain.amounts import size

EVERY = 10.0
"""Seconds between two lines."""


class Progress:
    """total: bytes that are to come. Heard by several threads."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._there = self._whole = 0
        self._next = time.monotonic() + EVERY
        self._lock = threading.Lock()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            if error is not None and self._whole:
                say(f"  {size(self._whole)} arrived, and stay there: the same command goes on with the rest")

    def whole(self, count: int) -> None:
        """A file of so many bytes arrived: a part of one is sent again."""
        with self._lock:
            self._whole += count

    def came(self, count: int) -> None:
        """So many bytes more."""
        with self._lock:
            self._there += count
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + EVERY
                share = min(100, self._there * 100 // max(1, self._total))
                say(f"  {share} %: {size(self._there)} of {size(self._total)}")


def say(line: str) -> None:
    """To whoever watches."""
    print(line, file=sys.stderr, flush=True)
