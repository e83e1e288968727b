"""Progress lines of an upload."""

import threading
import time

from robotrain.cluster.outputs import print_progress
from robotrain.model.amounts import format_size

LINE_INTERVAL_SECONDS = 10.0


class UploadProgress:
    """Progress lines of an upload of `total` bytes. Thread-safe."""

    def __init__(self, total: int) -> None:
        self._total = total
        self.complete_bytes = self._sent = 0
        self._next_time = time.monotonic() + LINE_INTERVAL_SECONDS
        self._lock = threading.Lock()

    def add_file(self, count: int) -> None:
        """Count a complete file; parts of a file are sent again."""
        with self._lock:
            self.complete_bytes += count

    def add_bytes(self, count: int) -> None:
        """Count sent bytes, and print a line now and then."""
        with self._lock:
            self._sent += count
            if time.monotonic() >= self._next_time:
                self._next_time = time.monotonic() + LINE_INTERVAL_SECONDS
                share = min(100, self._sent * 100 // max(1, self._total))
                print_progress(f"  {share} %: {format_size(self._sent)} of {format_size(self._total)}")
