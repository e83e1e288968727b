"""What folders take on a disk, what goes with them, and what is free. Standard library only; both sides import it."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

GIB = 1024**3


class Held(NamedTuple):
    """What a folder holds. size: bytes on disk. alone: those that would be free without it: a file that is also linked
    from elsewhere stays. whole: whether there was time to see all of it.
    """

    size: int
    alone: int
    whole: bool = True


def held(folder: Path, until: float = float("inf")) -> Held:
    """What `folder` holds. until: when to stop counting, of `time.monotonic()`."""
    size = alone = 0
    links: dict[tuple[int, int], int] = {}
    for number, entry in enumerate(_files(folder)):
        if number % 256 == 0 and time.monotonic() > until:
            return Held(size, alone, whole=False)
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
    return Held(size, alone)


def there(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def free(path: Path) -> int:
    """Free bytes on the disk where `path` is or would be. Raises OSError."""
    return shutil.disk_usage(there(path)).free


def _files(folder: Path) -> Iterator["os.DirEntry[str]"]:
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
