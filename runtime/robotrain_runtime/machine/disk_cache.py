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
    size = unshared_bytes = 0
    links: dict[tuple[int, int], int] = {}
    for number, file_entry in enumerate(_list_files(folder)):
        if number % 256 == 0 and time.monotonic() > deadline:
            return FolderSize(size, unshared_bytes, is_complete=False)
        try:
            facts = file_entry.stat(follow_symlinks=False)
        except OSError:  # removed a moment ago
            continue
        key, disk_bytes = (facts.st_dev, facts.st_ino), facts.st_blocks * 512
        link_count = links.get(key, 0) + 1
        if facts.st_nlink > 1:
            links[key] = link_count
        size += disk_bytes if link_count == 1 else 0
        unshared_bytes += disk_bytes if link_count == facts.st_nlink else 0
    return FolderSize(size, unshared_bytes)


def _list_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield every file below `folder`, without following links."""
    waiting_folders = [str(folder)]
    while waiting_folders:
        with (
            suppress(OSError),
            os.scandir(waiting_folders.pop()) as folder_entries,
        ):  # removed a moment ago, or not readable
            for folder_entry in folder_entries:
                if folder_entry.is_dir(follow_symlinks=False):
                    waiting_folders.append(folder_entry.path)
                else:
                    yield folder_entry


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
    cache_entries = []
    for path in _find_entry_folders(top, MAX_DEPTH):
        with _try_exclusive_lock(path) as is_free:
            is_busy = not is_free
        name = path.relative_to(top).as_posix()
        is_built = not name.startswith(f"{ENVIRONMENTS}/") or (path / COMPLETE).is_file()
        is_complete = is_built and _get_entry_name(path.name) == path.name
        size = measure_folder(path, deadline)
        last_use = _get_last_use(path)
        cache_entries.append(
            CacheEntry(path=path, name=name, used=last_use, busy=is_busy, complete=is_complete, folder_size=size)
        )
    return sorted(cache_entries, key=lambda entry: (entry.used, entry.name))


def choose_prunable(
    cache_entries: Sequence[CacheEntry], *, unused: float | None, limit: int | None, now: float
) -> list[CacheEntry]:
    """Return the entries to remove: incomplete ones, those not used for `unused` seconds, and the least recently used
    until the others are at most `limit` bytes. None is busy.
    """
    free_entries = [entry for entry in cache_entries if not entry.busy]
    removed_entries = [entry for entry in free_entries if not entry.complete]
    removed_entries += [
        entry for entry in free_entries if entry.complete and unused is not None and now - entry.used >= unused
    ]
    return (
        removed_entries
        if limit is None
        else [
            *removed_entries,
            *choose_evicted(
                [cache_entry for cache_entry in cache_entries if cache_entry not in removed_entries], limit
            ),
        ]
    )


def choose_evicted(cache_entries: Sequence[CacheEntry], limit: int) -> list[CacheEntry]:
    """Return the least recently used entries to remove so that the others are at most `limit` bytes; none is busy."""
    size, removed_entries = sum(cache_entry.folder_size.size for cache_entry in cache_entries), []
    for cache_entry in sorted(cache_entries, key=lambda entry: (entry.used, entry.name)):
        if size > limit and not cache_entry.busy:
            removed_entries.append(cache_entry)
            size -= cache_entry.folder_size.size
    return removed_entries


def remove_entry(cache_entry: CacheEntry) -> bool:
    """Remove an entry; return False if another process has used it since. Raise OSError."""
    with _try_exclusive_lock(cache_entry.path) as is_free:
        if not is_free or _get_last_use(cache_entry.path) > cache_entry.used:
            return False
        remove_folder(cache_entry.path, _get_entry_name(cache_entry.path.name))
        return True


def _find_entry_folders(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the folders of entries below `folder`, with leftovers."""
    try:
        with os.scandir(folder) as folder_entries:
            is_folder = {
                folder_entry.name: folder_entry.is_dir(follow_symlinks=False) for folder_entry in folder_entries
            }
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
        cache_folders = (folder for folder in (absolute, *absolute.parents) if self._cache in folder.parents)
        locks = (folder.with_name(folder.name + LOCK_SUFFIX) for folder in cache_folders)
        if lock := next((lock for lock in locks if lock.is_file() and os.access(lock, os.R_OK | os.W_OK)), None):
            handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            self.callback(os.close, handle)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_SH)
            with suppress(OSError):  # another user's cache
                os.utime(lock)
        return path.exists()


DATA_PREFIXES = ("data/", "frames/", "prepared/")
"""The entries that are evicted. Environments are few and slow to build: only `prune --cache` removes them."""


def evict_data(
    cache: Path, gib: float, coming_bytes: int, log_line: Callable[[str], None], used_digests: Collection[str] = ()
) -> None:
    """Remove data until the rest and `coming_bytes` bytes fit into `gib`, or only data in use remains.

    Data with one of `used_digests` counts as in use. Failures are logged.
    """
    for cache_entry in _choose_evicted_data(cache, gib, coming_bytes, used_digests):
        try:
            if remove_entry(cache_entry):
                size = cache_entry.folder_size.size / 1e9
                log_line(f"removed {cache_entry.name} from the cache, {size:.1f} GB: the limit is {gib:g} GiB")
        except OSError as error:
            log_line(f"{cache_entry.name} could not be removed from the cache: {error.strerror or error}")


def count_evictable_bytes(cache: Path, gib: float, coming_bytes: int, used_digests: Collection[str]) -> int:
    """Return the bytes that `evict_data` would free."""
    return sum(
        cache_entry.folder_size.reclaimable
        for cache_entry in _choose_evicted_data(cache, gib, coming_bytes, used_digests)
    )


def _choose_evicted_data(cache: Path, gib: float, coming_bytes: int, used_digests: Collection[str]) -> list[CacheEntry]:
    data_entries = [entry for entry in list_cache_entries(cache) if entry.name.startswith(DATA_PREFIXES)]
    marked_entries = [
        replace(cache_entry, busy=cache_entry.busy or cache_entry.path.name.partition(".")[0] in used_digests)
        for cache_entry in data_entries
    ]
    return choose_evicted(marked_entries, round(gib * GIB) - coming_bytes)
