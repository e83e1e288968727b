"""The disk under a folder: how much is free there, and what kind it is."""

import os
import re
from pathlib import Path

from robotrain_runtime.disk_use import free, there

__all__ = ["free", "kind", "shared", "there"]

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


def _below(place: str, point: str) -> bool:
    return point == "/" or place == point or place.startswith(point.rstrip("/") + "/")


def _spaces(point: str) -> str:
    """A mount point as it is: the file writes spaces and the like as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)
