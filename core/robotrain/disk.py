"""Folders on a disk: what they hold, how much goes with them, and what kind of disk it is."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "gpfs",
    "beegfs",
    "fuse.sshfs",
)
"""File systems that several machines share."""
MOUNTS = Path("/proc/self/mounts")


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
    return next(folder for folder in (path, *path.parents) if folder.exists())


def free(path: Path) -> int:
    """Free bytes on the disk where `path` is or would be. Raises OSError."""
    return shutil.disk_usage(there(path)).free


def kind(path: Path) -> str:
    """The file system where `path` is or would be, as the system calls it (`ext4`); empty when it does not say."""
    try:
        mounts = [line.split(" ")[1:3] for line in MOUNTS.read_text(errors="replace").splitlines()]
    except OSError:  # macOS, say
        return ""
    place = os.path.realpath(there(path))
    points = [(_spaces(point), kind) for point, kind in mounts if _below(place, _spaces(point))]
    return max(reversed(points), key=lambda pair: len(pair[0]))[1] if points else ""  # the last one lies on top


def shared(kind: str) -> bool:
    """Whether a file system of this kind is shared over a network."""
    return kind in NETWORK


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


def _below(place: str, point: str) -> bool:
    return point == "/" or place == point or place.startswith(point.rstrip("/") + "/")


def _spaces(point: str) -> str:
    """A mount point as it is: the file writes spaces and the like as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)
