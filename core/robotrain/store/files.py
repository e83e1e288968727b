"""Files and folders of robotrain: where they are, and the file system below them."""

import errno
import functools
import json
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.contract.files import open_regular_file as open_regular_file
from robotrain_runtime.contract.files import read_limited_file as read_limited_file
from robotrain_runtime.contract.files import sync_folder as sync_folder
from robotrain_runtime.contract.files import write_atomically as write_atomically
from robotrain_runtime.contract.files import write_given_file as write_given_file
from robotrain_runtime.contract.files import write_new_file as write_new_file

from robotrain.store import ownership
from robotrain.store.ownership import OwnFolder

DOTENV_FILES = (".env.local", ".env")
"""Files with settings in the working folder; the first wins."""


def get_state_folder() -> Path:
    """Return the folder of run records: `ROBOTRAIN_STATE`, or else the user's state folder."""
    return _get_folder("ROBOTRAIN_STATE", "XDG_STATE_HOME", "~/.local/state", "user_state_path")


def get_cache_folder() -> Path:
    """Return the cache folder: `ROBOTRAIN_CACHE`, or else the user's cache folder."""
    return _get_folder("ROBOTRAIN_CACHE", "XDG_CACHE_HOME", "~/.cache", "user_cache_path")


def get_configuration_folder() -> Path:
    """Return the folder of the user's own configuration: in `XDG_CONFIG_HOME`, else in `~/.config`."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.config"), "robotrain")


def list_own_folders() -> list[OwnFolder]:
    """Return the folders of state, cache and configuration; any of them may not exist."""
    return [
        OwnFolder(get_state_folder(), "ROBOTRAIN_STATE"),
        OwnFolder(get_cache_folder(), "ROBOTRAIN_CACHE", programs=("environments", "uv")),
        OwnFolder(get_configuration_folder(), "XDG_CONFIG_HOME"),
    ]


COMPUTED = "computed"
"""Folder, in the cache folder, of results that can be computed again; to write there is not a side effect."""
MAX_COMPUTED = 32


def load_computed(key: str, folder: str = COMPUTED) -> bytes | None:
    """Return a cached result; None if it is absent or damaged."""
    import hashlib  # costs start-up

    with suppress(OSError):
        cached_bytes = (get_cache_folder() / folder / key).read_bytes()
        if hashlib.sha256(cached_bytes[32:]).digest() == cached_bytes[:32]:
            return cached_bytes[32:]
    return None


def load_or_compute(
    key: str, compute: Callable[[], bytes], folder: str = COMPUTED, max_kept: int = MAX_COMPUTED
) -> bytes:
    """Return the cached result of `compute`; if it is absent or damaged, compute and cache it.

    :param key: a file name with a digest of everything that the result depends on.
    :param max_kept: how many results the folder, in the cache folder, has at most.
    """
    import hashlib  # costs start-up

    if (cached_bytes := load_computed(key, folder)) is not None:
        return cached_bytes
    result_bytes = compute()
    path = get_cache_folder() / folder / key
    with suppress(OSError):
        make_private_folder(get_cache_folder())
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, hashlib.sha256(result_bytes).digest() + result_bytes)
        for old_file in sorted(path.parent.iterdir(), key=lambda file: file.stat().st_mtime)[:-max_kept]:
            old_file.unlink()
    return result_bytes


def _get_folder(name: str, xdg_name: str, xdg_default: str, folder_function: str) -> Path:
    if folder_text := os.environ.get(name):
        return _make_path(os.path.abspath(os.path.expanduser(folder_text)))
    if sys.platform == "linux":  # by the XDG base directory specification, as platformdirs, which takes 5 % of a start
        base = os.environ.get(xdg_name, "")
        return _make_path(os.path.join(base if os.path.isabs(base) else os.path.expanduser(xdg_default), "robotrain"))
    import platformdirs

    return Path(getattr(platformdirs, folder_function)("robotrain", appauthor=False))


_make_path = functools.cache(Path)  # a list of runs asks for the same one a hundred times

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
"""Modes of what lies in the state folder: other users of the machine cannot read it."""
MAX_STATE_FILE = 1 << 26


def make_private_folder(folder: Path) -> None:
    """Create a folder, and those above it that are missing, for its owner only. Raise OSError."""
    for parent in reversed((folder, *folder.parents)):
        if not parent.is_dir():
            with suppress(FileExistsError):
                parent.mkdir(PRIVATE_FOLDER)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def close_to_others(folder: Path) -> None:
    """Make a folder that exists private, if it is this user's."""
    with suppress(OSError):
        status = folder.stat()
        if status.st_uid == os.geteuid() and status.st_mode & 0o077:
            folder.chmod(PRIVATE_FOLDER)


def make_tree_private(folder: Path) -> None:
    """Let only the owner read what a folder contains, as far as this user may change it.

    Links are left as they are, symbolic or not: they may lead to what others share.
    """
    for parent, _, file_names in os.walk(folder):
        with suppress(OSError):
            os.chmod(parent, PRIVATE_FOLDER)
        for name in file_names:
            path = os.path.join(parent, name)
            with suppress(OSError):
                status = os.lstat(path)
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_mode & 0o077:
                    os.chmod(path, stat.S_IMODE(status.st_mode) & 0o700)


def write_private_file(path: Path, file_bytes: bytes) -> None:
    """Replace the content of `path` in one step; only its owner can read it. Raise OSError."""
    write_atomically(path, file_bytes, PRIVATE_FILE)


def read_state_file(path: Path) -> bytes:
    """Return the content of a file of the state. Raise OSError, also if others may have written it, or ValueError if it
    is too large.
    """
    state = get_state_folder()
    if path.is_relative_to(state):
        for checked_path in (path, *(state / parent for parent in list(path.relative_to(state).parents)[:-1])):
            if reason := ownership.find_other_writer(checked_path):
                raise PermissionError(errno.EPERM, f"{checked_path} {reason}")
    return read_limited_file(path, MAX_STATE_FILE)


def read_json(path: Path) -> Any:
    """Return the content of a JSON file of the state. Raise OSError, and ValueError if it is not JSON."""
    json_bytes = read_state_file(path)
    try:
        return json.loads(json_bytes)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_checked_json(path: Path, data: Any) -> None:
    """Write what `read_checked_json` returns, if it is whole: it is not synced, nor replaced in one step.

    Raise OSError.
    """
    body = json.dumps(data).encode()
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_NOFOLLOW
    with open(path, "wb", opener=lambda name, _: os.open(name, flags, PRIVATE_FILE)) as file:
        file.write(b"%08x\n%b" % (zlib.crc32(body), body))


def read_checked_json(path: Path) -> Any:
    """Return what `write_checked_json` wrote. Raise OSError, ValueError if anything else is there."""
    check, _, body = read_state_file(path).partition(b"\n")
    if int(check, 16) != zlib.crc32(body):
        raise ValueError("it is damaged")
    return json.loads(body)


PROJECT_FILE = "robotrain.toml"


def find_project_file(folder: Path) -> Path | None:
    """Return the project file of `folder`, an absolute path; None if there is none."""
    paths = (project_folder / PROJECT_FILE for project_folder in list_project_folders(folder))
    return next((path for path in paths if path.is_file()), None)


def list_project_folders(folder: Path) -> Iterator[Path]:
    """Yield `folder`, an absolute path, and its parents up to the root of the repository or the home folder.

    A folder of another owner ends the search: its files, which can name an interpreter, are not trusted.
    """
    owner = _get_owner(folder)
    home = Path(os.path.expanduser("~"))
    for parent in (folder, *folder.parents):
        if _get_owner(parent) != owner:
            return
        yield parent
        if parent == home or (parent / ".git").exists():
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


class MountPoint(NamedTuple):
    """Where a file system is mounted, its type and options; all empty if unknown."""

    point: str = ""
    kind: str = ""
    """Such as `ext4`."""
    options: str = ""

    def list_options(self) -> frozenset[str]:
        """Return the options that it is mounted with."""
        return frozenset(filter(None, self.options.split(",")))


KERNEL_FILESYSTEMS = frozenset(("proc", "sysfs", "cgroup", "cgroup2", "devpts"))
"""Types of file systems in which nobody creates a folder, whoever they are."""


def get_filesystem(path: Path) -> str:
    """Return the type of the file system at `path`, such as `ext4`; empty if unknown."""
    try:
        mounts = MOUNTS_FILE.read_text(errors="replace")
    except OSError:  # for example macOS
        return ""
    from robotrain_runtime.machine.disk_cache import find_existing_parent

    return find_mount(os.path.realpath(find_existing_parent(path)), mounts).kind


def explain_uncreatable(folder: Path) -> str:
    """Return why a folder cannot be created, or written to, as a sentence; empty if it can."""
    existing_parent = next(
        parent for parent in (folder.absolute(), *folder.absolute().parents) if os.path.exists(parent)
    )
    if not existing_parent.is_dir():
        return f"{existing_parent} is not a folder."
    is_writable = (
        os.access(existing_parent, os.W_OK | os.X_OK) and get_filesystem(existing_parent) not in KERNEL_FILESYSTEMS
    )
    return "" if is_writable else f"{existing_parent} is not writable."


def find_mount(path: str, mounts: str) -> MountPoint:
    """Return what an existing path, without links, is on. `mounts`: the content of MOUNTS_FILE on its machine."""
    unescape = functools.partial(re.sub, r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)))
    mount_fields = (fields for mount_line in mounts.splitlines() if len(fields := mount_line.split(" ")) > 3)
    mount_points = [MountPoint(unescape(point), kind, options) for _, point, kind, options, *_ in mount_fields]
    matches = [mount for mount in mount_points if f"{path}/".startswith(f"{mount.point.rstrip('/')}/")]
    return max(reversed(matches), key=lambda mount: len(mount.point), default=MountPoint())  # the last mount is on top


def is_network_filesystem(kind: str) -> bool:
    """Return whether machines share file systems of this type over a network."""
    return kind in NETWORK_FILESYSTEMS
