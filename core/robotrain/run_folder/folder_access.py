"""Folders of a platform: who they belong to, whether you may write to them, and whether there is space."""

import os
import pwd
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.machine.disk_cache import GIB, find_existing_parent

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.store import files

make_problem = Messages(__file__)

MIN_FREE_GIB = 1.0


@dataclass(frozen=True, kw_only=True)
class FolderState:
    """What there is where a folder is, or is to be created."""

    path: str
    above: str
    """The folder itself, or the nearest one above it that exists."""
    owner: str
    """The user whom that belongs to."""
    is_folder: bool
    is_writable: bool
    free_bytes: int


def read_folder_state(folder: Path) -> FolderState:
    """Return what there is on this machine where a folder is, or is to be created."""
    existing_parent = find_existing_parent(folder)
    return FolderState(
        path=str(folder),
        above=str(existing_parent),
        owner=format_user(find_owner(existing_parent)),
        is_folder=existing_parent.is_dir(),
        is_writable=not files.explain_uncreatable(existing_parent),
        free_bytes=shutil.disk_usage(existing_parent).free,
    )


def judge_folder(state: FolderState, flag: str) -> Iterator[Problem]:
    """Check that the folder of an option can be created or written to, and that there is some space. Pure."""
    if not state.is_folder or not state.is_writable:
        reason = f"{state.above} belongs to {state.owner}." if state.is_folder else f"{state.above} is not a folder."
        yield make_problem("run-folder-refused.not-writable", where=flag, given=state.path, why=reason)
    elif (free := state.free_bytes / GIB) < MIN_FREE_GIB:
        yield make_problem("run-folder-full.before", where=flag, given=state.path, free=free)


def find_owner(path: Path) -> int:
    """Return the number of the user whom a file belongs to; -1 if that is not known."""
    try:
        return os.lstat(path).st_uid
    except OSError:
        return -1


def format_user(number: int) -> str:
    """Return the name of a user."""
    try:
        return pwd.getpwuid(number).pw_name
    except (KeyError, OverflowError):
        return "another user"
