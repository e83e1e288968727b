"""Disk usage, and the cache: its entries, leases of what a run uses, and eviction.

An entry is a folder with a lock file beside it (`NAME`, `NAME.lock`). A process that creates or removes the entry holds
the lock exclusively; a run that uses it shares the lock, and updates the lock file's time at its start. So an entry in
use is never removed, and folders without a lock file are left alone.
"""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.files import lock_file, remove_folder

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


def _list_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield every file below `folder`, without following links."""
    waiting = [str(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:  # removed a moment ago, or not readable
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    yield entry


def find_existing_parent(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that exists."""
    return next(parent for parent in (path, *path.absolute().parents) if parent.exists())


def get_free_bytes(path: Path) -> int:
    """Return the free bytes on the disk where `path` is or would be. Raise OSError."""
    return shutil.disk_usage(find_existing_parent(path)).free


LOCK_SUFFIX = ".lock"
ENVIRONMENTS, COMPLETE = "environments", "robotrain-complete.json"
"""The folder of built environments, and the file that is written last into each."""
SCRATCH_NAME = r"\.(.+)\.[0-9a-f]+(?:\.part|\.old)?|(.+)\.part"
"""Names of folders that are being filled or removed, with the name of their entry."""
MAX_DEPTH = 8
"""The depth of folders in which entries are searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """An entry of the cache."""

    path: Path
    name: str
    """Its path below the cache."""
    used: float
    """The time of its last use, in seconds since the epoch."""
    busy: bool
    """Whether a process creates or uses it."""
    complete: bool
    """False for leftovers of an interrupted process."""
    folder_size: FolderSize


def list_cache_entries(top: Path, deadline: float = float("inf")) -> list[CacheEntry]:
    """Return the entries of the cache `top`, the least recently used first; `deadline` as in `measure_folder`.

    Raise OSError.
    """
    entries = []
    for path in _find_entry_folders(top, MAX_DEPTH):
        with _try_exclusive_lock(path) as is_free:
            busy = not is_free
        name = path.relative_to(top).as_posix()
        is_built = not name.startswith(f"{ENVIRONMENTS}/") or (path / COMPLETE).is_file()
        complete = is_built and _get_entry_name(path.name) == path.name
        size = measure_folder(path, deadline)
        used = _get_last_use(path)
        entries.append(CacheEntry(path=path, name=name, used=used, busy=busy, complete=complete, folder_size=size))
    return sorted(entries, key=lambda entry: (entry.used, entry.name))


def choose_prunable(
    entries: Sequence[CacheEntry], *, unused: float | None, limit: int | None, now: float
) -> list[CacheEntry]:
    """Return the entries to remove: incomplete ones, those not used for `unused` seconds, and the least recently used
    until the others are at most `limit` bytes. None is busy.
    """
    free = [entry for entry in entries if not entry.busy]
    gone = [entry for entry in free if not entry.complete]
    gone += [entry for entry in free if entry.complete and unused is not None and now - entry.used >= unused]
    return (
        gone
        if limit is None
        else [*gone, *choose_evicted([cache_entry for cache_entry in entries if cache_entry not in gone], limit)]
    )


def choose_evicted(entries: Sequence[CacheEntry], limit: int) -> list[CacheEntry]:
    """Return the least recently used entries to remove so that the others are at most `limit` bytes; none is busy."""
    size, gone = sum(entry.folder_size.size for entry in entries), []
    for entry in sorted(entries, key=lambda entry: (entry.used, entry.name)):
        if size > limit and not entry.busy:
            gone.append(entry)
            size -= entry.folder_size.size
    return gone


def remove_entry(entry: CacheEntry) -> bool:
    """Remove an entry; return False if another process has used it since. Raise OSError."""
    with _try_exclusive_lock(entry.path) as is_free:
        if not is_free or _get_last_use(entry.path) > entry.used:
            return False
        remove_folder(entry.path, _get_entry_name(entry.path.name))
        return True


def _find_entry_folders(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the folders of entries below `folder`, with leftovers."""
    try:
        with os.scandir(folder) as entries:
            is_folder = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in sorted(filter(is_folder.get, is_folder)):
        if _get_entry_name(name) + LOCK_SUFFIX in is_folder:
            yield folder / name
        elif depth:
            yield from _find_entry_folders(folder / name, depth - 1)


def _get_entry_name(name: str) -> str:
    match = re.fullmatch(SCRATCH_NAME, name)
    return (match[1] or match[2]) if match else name


def _get_lock_path(path: Path) -> Path:
    return path.with_name(_get_entry_name(path.name) + LOCK_SUFFIX)


def _get_last_use(path: Path) -> float:
    try:
        return _get_lock_path(path).stat().st_mtime
    except OSError:
        return time.time()


@contextmanager
def _try_exclusive_lock(path: Path) -> Iterator[bool]:
    """Try to hold the lock of an entry; yield whether it is held. The lock file stays: others may wait for it."""
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


class CacheLease(ExitStack):
    """Shared locks on the cache entries of a run, held while entered."""

    def __init__(self, cache: Path) -> None:
        super().__init__()
        self._cache = Path(os.path.abspath(cache))

    def acquire(self, path: Path) -> bool:
        """Return whether `path` exists; from now on its entry stays. False if another process just removed it."""
        absolute = Path(os.path.abspath(path))
        inside = (folder for folder in (absolute, *absolute.parents) if self._cache in folder.parents)
        locks = (folder.with_name(folder.name + LOCK_SUFFIX) for folder in inside)
        if lock := next((lock for lock in locks if lock.is_file() and os.access(lock, os.R_OK | os.W_OK)), None):
            handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            self.callback(os.close, handle)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_SH)
            with suppress(OSError):  # another user's cache
                os.utime(lock)
        return path.exists()


DATA_PREFIXES = ("data/", "frames/", "prepared/")
"""The entries that are evicted. Environments are few and slow to build: only `runs --prune --cache` removes them."""


def evict_data(
    cache: Path, gib: float, coming: int, log_line: Callable[[str], None], used_digests: Collection[str] = ()
) -> None:
    """Remove data until the rest and `coming` bytes fit into `gib`, or only data in use remains.

    Data with one of `used_digests` counts as in use. Failures are logged.
    """
    for entry in _choose_evicted_data(cache, gib, coming, used_digests):
        try:
            if remove_entry(entry):
                size = entry.folder_size.size / 1e9
                log_line(f"removed {entry.name} from the cache, {size:.1f} GB: the limit is {gib:g} GiB")
        except OSError as error:
            log_line(f"{entry.name} could not be removed from the cache: {error.strerror or error}")


def count_evictable_bytes(cache: Path, gib: float, coming: int, used_digests: Collection[str]) -> int:
    """Return the bytes that `evict_data` would free."""
    return sum(entry.folder_size.reclaimable for entry in _choose_evicted_data(cache, gib, coming, used_digests))


def _choose_evicted_data(cache: Path, gib: float, coming: int, used_digests: Collection[str]) -> list[CacheEntry]:
    data = [entry for entry in list_cache_entries(cache) if entry.name.startswith(DATA_PREFIXES)]
    marked = [
        replace(cache_entry, busy=cache_entry.busy or cache_entry.path.name.partition(".")[0] in used_digests)
        for cache_entry in data
    ]
    return choose_evicted(marked, round(gib * GIB) - coming)
