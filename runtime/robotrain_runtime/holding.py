"""Things of the cache, while a run uses them: nobody removes what is held, and when it was last used is known.

Beside each thing lies its lock file (`NAME`, `NAME.lock`): whoever makes or removes the thing holds the lock alone, and
those that use it share it. The file's time is when the thing was last used. `robotrain cache` goes by both.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

LOCK = ".lock"


class Holding:
    """What is kept while entered."""

    def __init__(self, cache: Path) -> None:
        self._cache = Path(os.path.abspath(cache))
        self._handles: list[int] = []

    def __enter__(self) -> "Holding":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        while self._handles:
            os.close(self._handles.pop())

    def keep(self, path: Path) -> bool:
        """Whether `path` is there and, if it lies in the cache, stays: false when somebody just removed it."""
        lock = self._lock(Path(os.path.abspath(path)))
        if lock is not None:
            handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            self._handles.append(handle)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_SH)
            with suppress(OSError):  # a cache of somebody else's
                os.utime(lock)
        return path.exists()

    def _lock(self, path: Path) -> Path | None:
        """The lock file of the thing that `path` is or lies in; None for what lies elsewhere."""
        for place in (path, *path.parents):
            if self._cache not in place.parents:
                return None
            lock = place.with_name(place.name + LOCK)
            if lock.is_file() and os.access(lock, os.R_OK | os.W_OK):
                return lock
        return None
