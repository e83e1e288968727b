"""The cache folder: what it holds, when that was last used, and what may go. Everything in it can be made again.

An entry is a folder with a lock file beside it (`NAME`, `NAME.lock`). Whoever makes or removes the entry holds the lock
alone; a run that uses it shares the lock as long as it goes on, and renews the lock file's time when it begins. So an
entry in use is never removed, and what no lock file lies beside is left alone.
"""

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime import disk_use

LOCK = ".lock"
ENVIRONMENTS, COMPLETE = "environments", "robotrain-complete.json"
"""Where built environments lie, and what is put into one last."""
SCRATCH = r"(.+)\.part|\.(.+)\.[0-9a-f]+"
"""Names of what somebody is at, filling an entry or removing one, with the name of that entry in them."""
DEEPEST = 8
"""How many folders down entries are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing in the cache. used: when last, in seconds since the epoch. busy: whether somebody makes or uses it.

    name: its path below the cache. complete: False for what an interrupted process left.
    """

    path: Path
    name: str
    used: float
    busy: bool
    complete: bool
    held: disk_use.Held


def entries(top: Path, until: float = float("inf")) -> list[Entry]:
    """Everything in the cache `top`, the longest unused first. until: as for `disk_use.held`. Raises OSError."""
    found = [_entry(path, top, until) for path in _paths(top, DEEPEST)]
    return sorted(found, key=lambda entry: (entry.used, entry.name))


def going(found: Sequence[Entry], *, unused: float | None, limit: int | None, now: float) -> list[Entry]:
    """Which of `found` may go, in this order: what was left incomplete, what nobody used for `unused` seconds, then the
    longest unused until all that stays is at most `limit` bytes. Nothing that is busy; pure.
    """
    free = [entry for entry in found if not entry.busy]
    gone = [entry for entry in free if not entry.complete]
    gone += [entry for entry in free if entry.complete and unused is not None and now - entry.used >= unused]
    stays = sum(entry.held.size for entry in found if entry not in gone)
    for entry in sorted(free, key=lambda entry: entry.used):
        if limit is None or stays <= limit:
            break
        if entry not in gone:
            gone.append(entry)
            stays -= entry.held.size
    return gone


def remove(entry: Entry) -> bool:
    """Remove an entry; False when somebody took it into use meanwhile. Raises OSError."""
    with _alone(entry.path) as alone:
        if not alone or _used(entry.path) > entry.used:
            return False
        aside = entry.path.with_name(f".{_base(entry.path.name)}.{os.urandom(4).hex()}")
        os.rename(entry.path, aside)  # in one step: nobody finds half of it under its name
        shutil.rmtree(aside)
        return True


def _entry(path: Path, top: Path, until: float) -> Entry:
    with _alone(path) as alone:
        busy = not alone
    name = path.relative_to(top).as_posix()
    built = not name.startswith(f"{ENVIRONMENTS}/") or (path / COMPLETE).is_file()
    complete = built and _base(path.name) == path.name
    held = disk_use.held(path, until)
    return Entry(path=path, name=name, used=_used(path), busy=busy, complete=complete, held=held)


def _paths(folder: Path, depth: int) -> Iterator[Path]:
    """The folders of entries below `folder`, and what is left of some."""
    try:
        with os.scandir(folder) as found:
            there = {entry.name: entry.is_dir(follow_symlinks=False) for entry in found}
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in sorted(name for name, is_folder in there.items() if is_folder):
        if _base(name) + LOCK in there:
            yield folder / name
        elif depth:
            yield from _paths(folder / name, depth - 1)


def _base(name: str) -> str:
    """The name of the entry that this is, or is what is left of."""
    found = re.fullmatch(SCRATCH, name)
    return (found[1] or found[2]) if found else name


def _lock(path: Path) -> Path:
    return path.with_name(_base(path.name) + LOCK)


def _used(path: Path) -> float:
    try:
        return _lock(path).stat().st_mtime
    except OSError:
        return time.time()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether nobody else holds the lock of an entry, held meanwhile. The lock file stays: others may wait for it."""
    try:
        handle = os.open(_lock(path), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # held, or a file system without locks: nobody can say that it is free
            yield False
            return
        yield True
    finally:
        os.close(handle)
