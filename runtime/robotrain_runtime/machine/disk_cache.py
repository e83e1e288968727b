"""Disk usage, and the cache: its entries, leases of what a run uses, and eviction.

An entry is a folder with a lock file beside it (`NAME`, `NAME.lock`). A process that creates or removes the entry holds
the lock exclusively; a run that uses it shares the lock, and updates the lock file's time at its start. So an entry in
use is never removed, and folders without a lock file are left alone.
"""

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from robotrain_runtime.contract.files import lock_file

GIB = 1024**3


class FolderSize(NamedTuple):
    """The size of a folder in bytes."""

    size: int
    reclaimable: int
    """The bytes that its removal frees: files with other hard links stay."""
    is_complete: bool = True
    """Whether all of it was measured before the deadline."""


def measure_folder(folder: Path, deadline: float = float("inf")) -> FolderSize:
    """Measure a folder until `deadline`, in terms of `time.monotonic()`."""
    size = alone = 0
    links: dict[tuple[int, int], int] = {}
    for number, entry in enumerate(_list_files(folder)):
        if number % 256 == 0 and time.monotonic() > deadline:
            return FolderSize(size, alone, is_complete=False)
        try:
            facts = entry.stat(follow_symlinks=False)
        except OSError:  # removed a moment ago
            continue
        key, taken = (facts.st_dev, facts.st_ino), facts.st_blocks * 512
        seen = links.get(key, 0) + 1
        if facts.st_nlink > 1:
            links[key] = seen
        size += taken if seen == 1 else 0
        alone += taken if seen == facts.st_nlink else 0
    return FolderSize(size, alone)


def find_existing_parent(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def get_free_bytes(path: Path) -> int:
    """Free bytes on the disk where `path` is or would be. Raises OSError."""
    return shutil.disk_usage(find_existing_parent(path)).free


def _list_files(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Every entry below `folder`, folders too; links are not followed."""
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry
        except OSError:  # removed a moment ago, or not ours to look into
            continue


LOCK_SUFFIX = ".lock"
ENVIRONMENTS, COMPLETE = "environments", "robotrain-complete.json"
"""Where built environments lie, and what is put into one last."""
SCRATCH_NAME = r"(.+)\.part|\.(.+)\.[0-9a-f]+"
"""Names of what somebody is at, filling an entry or removing one, with the name of that entry in them."""
MAX_DEPTH = 8
"""How many folders down entries are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One thing in the cache. used: when last, in seconds since the epoch. busy: whether somebody makes or uses it.

    name: its path below the cache. complete: False for what an interrupted process left.
    """

    path: Path
    name: str
    used: float
    busy: bool
    complete: bool
    folder_size: FolderSize


def list_cache_entries(top: Path, deadline: float = float("inf")) -> list[CacheEntry]:
    """Everything in the cache `top`, the longest unused first. until: as for `disk_use.held`. Raises OSError."""
    found = [_read_entry(path, top, deadline) for path in _find_entry_folders(top, MAX_DEPTH)]
    return sorted(found, key=lambda entry: (entry.used, entry.name))


def choose_prunable(
    entries: Sequence[CacheEntry], *, unused: float | None, limit: int | None, now: float
) -> list[CacheEntry]:
    """Which of `found` may go, in this order: what was left incomplete, what nobody used for `unused` seconds, then the
    longest unused until all that stays is at most `limit` bytes. Nothing that is busy; pure.
    """
    free = [entry for entry in entries if not entry.busy]
    gone = [entry for entry in free if not entry.complete]
    gone += [entry for entry in free if entry.complete and unused is not None and now - entry.used >= unused]
    stays = sum(entry.folder_size.size for entry in entries if entry not in gone)
    for entry in sorted(free, key=lambda entry: entry.used):
        if limit is None or stays <= limit:
            break
        if entry not in gone:
            gone.append(entry)
            stays -= entry.folder_size.size
    return gone


def remove_entry(entry: CacheEntry) -> bool:
    """Remove an entry; False when somebody took it into use meanwhile. Raises OSError."""
    with _try_exclusive_lock(entry.path) as alone:
        if not alone or _get_last_use(entry.path) > entry.used:
            return False
        aside = entry.path.with_name(f".{_get_entry_name(entry.path.name)}.{os.urandom(4).hex()}")
        os.rename(entry.path, aside)  # in one step: nobody finds half of it under its name
        shutil.rmtree(aside)
        return True


def _read_entry(path: Path, top: Path, deadline: float) -> CacheEntry:
    with _try_exclusive_lock(path) as alone:
        busy = not alone
    name = path.relative_to(top).as_posix()
    built = not name.startswith(f"{ENVIRONMENTS}/") or (path / COMPLETE).is_file()
    complete = built and _get_entry_name(path.name) == path.name
    held = measure_folder(path, deadline)
    return CacheEntry(path=path, name=name, used=_get_last_use(path), busy=busy, complete=complete, folder_size=held)


def _find_entry_folders(folder: Path, depth: int) -> Iterator[Path]:
    """The folders of entries below `folder`, and what is left of some."""
    try:
        with os.scandir(folder) as found:
            there = {entry.name: entry.is_dir(follow_symlinks=False) for entry in found}
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in sorted(name for name, is_folder in there.items() if is_folder):
        if _get_entry_name(name) + LOCK_SUFFIX in there:
            yield folder / name
        elif depth:
            yield from _find_entry_folders(folder / name, depth - 1)


def _get_entry_name(name: str) -> str:
    """The name of the entry that this is, or is what is left of."""
    found = re.fullmatch(SCRATCH_NAME, name)
    return (found[1] or found[2]) if found else name


def _get_lock_path(path: Path) -> Path:
    return path.with_name(_get_entry_name(path.name) + LOCK_SUFFIX)


def _get_last_use(path: Path) -> float:
    try:
        return _get_lock_path(path).stat().st_mtime
    except OSError:
        return time.time()


@contextlib.contextmanager
def _try_exclusive_lock(path: Path) -> Iterator[bool]:
    """Whether nobody else holds the lock of an entry, held meanwhile. The lock file stays: others may wait for it."""
    try:
        handle = os.open(_get_lock_path(path), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        is_free = False
        with suppress(OSError):  # a file system without locks: nobody can say that it is free
            is_free = lock_file(handle)
        yield is_free
    finally:
        os.close(handle)


LEASE_SUFFIX = ".lock"


class CacheLease:
    """Shared locks on the cache entries of a run, held while entered."""

    def __init__(self, cache: Path) -> None:
        self._cache = Path(os.path.abspath(cache))
        self._handles: list[int] = []

    def __enter__(self) -> "CacheLease":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        while self._handles:
            os.close(self._handles.pop())

    def acquire(self, path: Path) -> bool:
        """Whether `path` is there and, if it lies in the cache, stays: false when somebody just removed it."""
        lock = self._find_lock(Path(os.path.abspath(path)))
        if lock is not None:
            handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            self._handles.append(handle)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_SH)
            with suppress(OSError):  # a cache of somebody else's
                os.utime(lock)
        return path.exists()

    def _find_lock(self, path: Path) -> Path | None:
        """The lock file of the thing that `path` is or lies in; None for what lies elsewhere."""
        for place in (path, *path.parents):
            if self._cache not in place.parents:
                return None
            lock = place.with_name(place.name + LEASE_SUFFIX)
            if lock.is_file() and os.access(lock, os.R_OK | os.W_OK):
                return lock
        return None


DATA_PREFIXES = ("data/", "prepared/")
"""What the limit is about. Environments are few, and take long to build again: `robotrain cache` removes those."""


def evict_data(
    cache: Path, gib: float, coming: int, log_line: Callable[[str], None], used_digests: Collection[str] = ()
) -> None:
    """Remove data until the rest and `coming` bytes fit into `gib`, or only data in use remains.

    Data with one of `used_digests` counts as in use. Failures are logged.
    """
    for entry in choose_evicted(_list_data_entries(cache, used_digests), round(gib * GIB) - coming):
        try:
            if remove_entry(entry):
                size = entry.folder_size.size / 1e9
                log_line(f"removed {entry.name} from the cache, {size:.1f} GB: the limit is {gib:g} GiB")
        except OSError as error:
            log_line(f"{entry.name} could not be removed from the cache: {error.strerror or error}")


def count_evictable_bytes(cache: Path, gib: float, coming: int, used_digests: Collection[str]) -> int:
    """Return the bytes that `evict_data` would free."""

    return sum(
        entry.folder_size.reclaimable
        for entry in choose_evicted(_list_data_entries(cache, used_digests), round(gib * GIB) - coming)
    )


def choose_evicted(entries: list[CacheEntry], limit: int) -> list[CacheEntry]:
    """Which of `entries` go, so that those that stay are at most `limit` bytes; pure."""
    stays, gone = sum(entry.folder_size.size for entry in entries), []
    for entry in sorted(entries, key=lambda entry: (entry.used, entry.name)):
        if stays <= limit:
            break
        if not entry.busy:
            gone.append(entry)
            stays -= entry.folder_size.size
    return gone


def _list_data_entries(cache: Path, used_digests: Collection[str]) -> list[CacheEntry]:
    """The data in the cache; what this run wants counts as in use."""
    found = [entry for entry in list_cache_entries(cache) if entry.name.startswith(DATA_PREFIXES)]
    return [replace(one, busy=one.busy or one.path.name.partition(".")[0] in used_digests) for one in found]
