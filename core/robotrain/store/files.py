"""Where files are: state, cache, robotrain.toml, .env; writing them atomically; the disk below them.

The search ends at the root of the repository, at the home folder, and at a folder of another owner: what lies there is
not of this project, and a file that names an interpreter must not come from just anybody.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.machine.disk_cache import find_existing_parent

DOTENV_FILES = (".env.local", ".env")
"""Files of the working folder that settings are read from, the stronger first."""


def get_state_folder() -> Path:
    """Records of runs and what belongs to them: `ROBOTRAIN_STATE`, else the user's state folder."""
    return _get_folder("ROBOTRAIN_STATE", "user_state_path")


def get_cache_folder() -> Path:
    """What can be made again: `ROBOTRAIN_CACHE`, else the user's cache folder."""
    return _get_folder("ROBOTRAIN_CACHE", "user_cache_path")


def _get_folder(name: str, default: str) -> Path:
    if said := os.environ.get(name):
        return Path(os.path.abspath(os.path.expanduser(said)))
    import platformdirs

    return Path(getattr(platformdirs, default)("robotrain", appauthor=False))


PROJECT_FILE = "robotrain.toml"


def find_project_file(folder: Path) -> Path | None:
    """The file that counts for `folder`, an absolute path; None when there is none."""
    return next(
        (place / PROJECT_FILE for place in list_project_folders(folder) if (place / PROJECT_FILE).is_file()), None
    )


def list_project_folders(folder: Path) -> Iterator[Path]:
    """`folder`, an absolute path, and those above it that are of the same project."""
    owner, home = _get_owner(folder), Path(os.path.expanduser("~"))
    for place in (folder, *folder.parents):
        if _get_owner(place) != owner:
            return
        yield place
        if place == home or (place / ".git").exists():
            return


def _get_owner(folder: Path) -> int | None:
    try:
        return folder.stat().st_uid
    except OSError:
        return None


def write_atomically(path: Path, content: bytes) -> None:
    """Make `content` what `path` holds, in one step for every reader. Raises OSError; what was there is left then."""
    scratch = path.with_name(f".{path.stem}-{os.urandom(4).hex()}.tmp")
    try:
        write_new_file(scratch, content)
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_new_file(path: Path, content: bytes) -> None:
    """A new file, written through to the disk. Raises OSError, FileExistsError among them."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Write through which files `folder` holds; nothing where the file system has no way to."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


NETWORK_FILESYSTEMS = (
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
MOUNTS_FILE = Path("/proc/self/mounts")


def get_filesystem(path: Path) -> str:
    """The file system where `path` is or would be, as the system calls it (`ext4`); empty when it does not say."""
    try:
        mounts = [line.split(" ")[1:3] for line in MOUNTS_FILE.read_text(errors="replace").splitlines()]
    except OSError:  # macOS, say
        return ""
    place = os.path.realpath(find_existing_parent(path))
    points = [
        (_unescape_mount_point(point), kind) for point, kind in mounts if _is_below(place, _unescape_mount_point(point))
    ]
    return max(reversed(points), key=lambda pair: len(pair[0]))[1] if points else ""  # the last one lies on top


def is_network_filesystem(kind: str) -> bool:
    """Whether a file system of this kind is shared over a network."""
    return kind in NETWORK_FILESYSTEMS


def _is_below(place: str, point: str) -> bool:
    return point == "/" or place == point or place.startswith(point.rstrip("/") + "/")


def _unescape_mount_point(point: str) -> str:
    """A mount point as it is: the file writes spaces and the like as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)
