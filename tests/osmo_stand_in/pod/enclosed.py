"""Runs in a mount namespace of its own: puts one tree of files over the machine's, and becomes the command there.

`enclosed.py DISK ROOT MOUNTS USER COMMAND…`. Alone: it imports nothing of the stand-in.
"""

import contextlib
import ctypes
import json
import os
import sys
from pathlib import Path

BIND = 4096 | 16384  # MS_BIND | MS_REC
LIBC = ctypes.CDLL(None, use_errno=True)
NEW_USER = 0x10000000  # CLONE_NEWUSER
NOT_FOUND = 127


def mount(source: str, target: str, kind: str, flags: int) -> None:
    """Raises OSError."""
    if LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, None):
        raise OSError(ctypes.get_errno(), f"mount {source} {target}")


def merge(ours: Path, theirs: Path, target: Path) -> None:
    """`target` shows what is in `theirs`, and over it what is in `ours`."""
    over = {entry.name: entry for entry in ours.iterdir()}
    for entry in theirs.iterdir():
        above = over.get(entry.name)
        if above is None:
            bind(entry, target / entry.name)
        elif above.is_dir() and entry.is_dir() and not entry.is_symlink():
            (target / entry.name).mkdir()
            merge(over.pop(entry.name), entry, target / entry.name)
    for name, entry in over.items():
        bind(entry, target / name)


def bind(source: Path, target: Path) -> None:
    """The one place is the other."""
    if source.is_symlink():
        target.symlink_to(os.readlink(source))
        return
    target.mkdir() if source.is_dir() else target.touch()
    with contextlib.suppress(FileNotFoundError):  # gone since it was listed: others work in the machine's /tmp
        mount(str(source), str(target), "", BIND)


def become_user(user: str) -> None:
    """Become an unprivileged user, in a user namespace of its own, as soon as the command is executed."""
    if LIBC.unshare(NEW_USER):
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/self/{kind}").write_text(f"{user} 0 1")


def main() -> None:
    """Become the command."""
    disk, root, mounts, user, *command = sys.argv[1:]
    here = os.getcwd()
    Path(root).mkdir(exist_ok=True)
    mount("tmpfs", root, "tmpfs", 0)
    merge(Path(disk), Path("/"), Path(root))
    for target, source in json.loads(mounts).items():
        mount(source, root + target, "", BIND)
    if int(user):
        become_user(user)
    os.chroot(root)
    os.chdir(here)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"exec: {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(NOT_FOUND)


main()
