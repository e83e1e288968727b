"""Folders of a platform: who they belong to, whether you may write to them, and whether there is space."""

import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.machine.disk_cache import GIB, find_existing_parent

from robotrain.cluster.checks import make_preflight_problem
from robotrain.errors import Problem, Suggestion

MIN_FREE_GIB = 1.0


def check_writable(folder: Path, flag: str) -> Iterator[Problem]:
    """Check that the folder of an option can be created or written to, and that there is some space."""
    above, given = find_existing_parent(folder), str(folder)
    elsewhere = Suggestion(f"{flag} FOLDER", "a folder that you may write to, and that all nodes see")
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        title = f"the folder of {flag} is not writable"
        owner = format_user(find_owner(above))
        why = f"{above} belongs to {owner}." if above.is_dir() else f"{above} is not a folder."
        yield make_preflight_problem("run-folder-refused", title, flag, given, why, elsewhere)
    elif (free := shutil.disk_usage(above).free / GIB) < MIN_FREE_GIB:
        title, why = f"there is too little disk space in the folder of {flag}", f"{free:.2f} GiB are free."
        yield make_preflight_problem("run-folder-full", title, flag, given, why, elsewhere)


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
