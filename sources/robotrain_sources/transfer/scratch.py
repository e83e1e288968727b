"""A folder of one transfer for its listings, below the cache: on the disk that has room, and gone in the end.

It is an entry of the cache while its lock is held, and what is left of one after a kill: the next one removes it.
"""

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

NAME = "transfer-scratch"


class Scratch:
    """One that is made at once. path: the folder. Raises OSError."""

    def __init__(self, cache: Path) -> None:
        above = cache / "data"
        above.mkdir(parents=True, exist_ok=True)
        self._lock: IO[str] = (above / f"{NAME}.lock").open("a")
        self.path = above / f".{NAME}.{os.urandom(4).hex()}"
        try:
            self._hold(above)
            self.path.mkdir(mode=0o700)
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    def _hold(self, above: Path) -> None:
        """Share the lock with all others that go on; with none, what is there was left."""
        with suppress(OSError):  # others go on, or a file system without locks: nobody can tell what was left
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in above.glob(f".{NAME}.*"):
                shutil.rmtree(left, ignore_errors=True)
        with suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            os.utime(self._lock.fileno())
