"""What ended a transfer, as a sentence for the person who runs the job, and whose fault it is."""

import errno
import sqlite3
from pathlib import Path

from robotrain_sources.fetching.answer import Refused, of_system, plain

_FULL = (errno.ENOSPC, errno.EDQUOT)


def of(error: BaseException, cache: Path) -> Refused:
    """The sentence; never with a secret."""
    if isinstance(error, Refused):
        return error
    if is_full(error):
        return Refused(f"the disk of {cache} is full: make room, or set ROBOTRAIN_CACHE", "disk_full")
    if isinstance(error, OSError):
        return Refused(of_system(error))
    return Refused(plain(error))


def is_full(error: BaseException) -> bool:
    """Whether a disk, or somebody's share of it, is full."""
    if isinstance(error, sqlite3.OperationalError):
        return "disk is full" in str(error)
    return isinstance(error, OSError) and error.errno in _FULL
