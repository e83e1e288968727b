"""What ended a transfer, as a sentence for the person who runs the job, and whose fault it is."""

import errno
import sqlite3
from pathlib import Path

from robotrain_sources.fetching.answer import Refused, of_system, plain

_FULL = (errno.ENOSPC, errno.EDQUOT)
_OF_A_NETWORK_DISK = (errno.ESTALE, errno.ETIMEDOUT)


def of(error: BaseException, cache: Path) -> Refused:
    """The sentence; never with a secret."""
    if isinstance(error, Refused):
        return error
    if is_full(error):
        return Refused(_full(error, cache), "disk_full")
    if is_memory(error):
        return Refused("there was not enough memory to fetch the data: give the job more", "out_of_memory")
    if isinstance(error, OSError):
        return Refused(of_system(error), "network" if error.errno in _OF_A_NETWORK_DISK else "")
    return Refused(plain(error))


def is_memory(error: BaseException) -> bool:
    """Whether this process got no more memory."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def is_full(error: BaseException) -> bool:
    """Whether a disk, or somebody's share of it, is full."""
    if isinstance(error, sqlite3.OperationalError):
        return "disk is full" in str(error)
    return isinstance(error, OSError) and error.errno in _FULL


def _full(error: BaseException, cache: Path) -> str:
    where = getattr(error, "filename", None)
    if isinstance(where, str) and Path(where).is_absolute() and not Path(where).is_relative_to(cache):
        return f"the disk of {where} is full: make room there"
    return f"the disk of {cache} is full: make room, or set ROBOTRAIN_CACHE"
