"""Folders of a platform: who they belong to, whether you may write to them, and whether there is space."""

import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.machine.disk_cache import GIB, find_existing_parent

from robotrain.errors import Problem
from robotrain.messages import Messages

make_problem = Messages(__file__)

MIN_FREE_GIB = 1.0


def check_writable(folder: Path, flag: str) -> Iterator[Problem]:
    """Check that the folder of an option can be created or written to, and that there is some space."""
    above, given = find_existing_parent(folder), str(folder)
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        owner = format_user(find_owner(above))
        why = f"{above} belongs to {owner}." if above.is_dir() else f"{above} is not a folder."
        yield make_problem("run-folder-refused.not-writable", where=flag, given=given, why=why)
    elif (free := shutil.disk_usage(above).free / GIB) < MIN_FREE_GIB:
        yield make_problem("run-folder-full", where=flag, given=given, free=free)


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
