"""Progress lines of what reads or sends many bytes."""

import threading
import time

from robotrain.cluster.outputs import print_progress
from robotrain.model.amounts import format_size

LINE_SECONDS = 10.0


class ByteProgress:
    """Progress lines of `total` bytes, after a first line of what is done. Thread-safe."""

    def __init__(self, total: int, first_line: str = "") -> None:
        self._total, self._first_line = total, first_line
        self.complete_bytes = self._done = 0
        self._next_time = time.monotonic() + LINE_SECONDS
        self._lock = threading.Lock()

    def add_file(self, count: int) -> None:
        """Count a complete file; parts of a file are sent again."""
        with self._lock:
            self.complete_bytes += count

    def add_bytes(self, count: int) -> None:
        """Count bytes, and print a line now and then."""
        with self._lock:
            self._done += count
            if time.monotonic() < self._next_time:
                return
            if self._first_line:
                print_progress(self._first_line)
            self._first_line, self._next_time = "", time.monotonic() + LINE_SECONDS
            share = min(100, self._done * 100 // max(1, self._total))
            print_progress(f"  {share} %: {format_size(self._done)} of {format_size(self._total)}")
