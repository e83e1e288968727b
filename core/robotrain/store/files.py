"""Files and folders of robotrain: where they are, and the file system below them."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.contract.files import sync_folder as sync_folder
from robotrain_runtime.contract.files import write_atomically as write_atomically
from robotrain_runtime.contract.files import write_new_file as write_new_file

DOTENV_FILES = (".env.local", ".env")
"""Files with settings in the working folder; the first wins."""


def get_state_folder() -> Path:
    """Return the folder of run records: `ROBOTRAIN_STATE`, or else the user's state folder."""
    return _get_folder("ROBOTRAIN_STATE", "user_state_path")


def get_cache_folder() -> Path:
    """Return the cache folder: `ROBOTRAIN_CACHE`, or else the user's cache folder."""
    return _get_folder("ROBOTRAIN_CACHE", "user_cache_path")


def _get_folder(name: str, default: str) -> Path:
    if value := os.environ.get(name):
        return Path(os.path.abspath(os.path.expanduser(value)))
    import platformdirs

    return Path(getattr(platformdirs, default)("robotrain", appauthor=False))


PROJECT_FILE = "robotrain.toml"


def find_project_file(folder: Path) -> Path | None:
    """Return the project file of `folder`, an absolute path; None if there is none."""
    paths = (place / PROJECT_FILE for place in list_project_folders(folder))
    return next((path for path in paths if path.is_file()), None)


def list_project_folders(folder: Path) -> Iterator[Path]:
    """Yield `folder`, an absolute path, and its parents up to the root of the repository or the home folder.

    A folder of another owner ends the search: its files, which can name an interpreter, are not trusted.
    """
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


NETWORK_FILESYSTEMS = frozenset(
    "nfs nfs4 cifs smb3 smbfs 9p afs ceph glusterfs lustre gpfs beegfs fuse.sshfs".split()  # noqa: SIM905
)
MOUNTS_FILE = Path("/proc/self/mounts")


def get_filesystem(path: Path) -> str:
    """Return the type of the file system at `path`, such as `ext4`; empty if unknown."""
    try:
        lines = MOUNTS_FILE.read_text(errors="replace").splitlines()
    except OSError:  # for example macOS
        return ""
    mounts = ((_unescape_mount_point(point), kind) for _, point, kind, *_ in (line.split(" ") for line in lines))
    from robotrain_runtime.machine.disk_cache import find_existing_parent

    place = os.path.realpath(find_existing_parent(path))
    points = [(point, kind) for point, kind in mounts if _is_below(place, point)]
    return max(reversed(points), key=lambda pair: len(pair[0]))[1] if points else ""  # the last mount is on top


def is_network_filesystem(kind: str) -> bool:
    """Return whether machines share file systems of this type over a network."""
    return kind in NETWORK_FILESYSTEMS


def _is_below(place: str, point: str) -> bool:
    return point == "/" or place == point or place.startswith(point.rstrip("/") + "/")


def _unescape_mount_point(point: str) -> str:
    """Return a mount point with its octal escapes replaced."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)
