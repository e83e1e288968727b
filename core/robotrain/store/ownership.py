"""Whether other users may have written what robotrain takes for its own: then it is not used, as ssh does with keys."""

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages

make_problem = Messages(__file__)


class OwnFolder(NamedTuple):
    """A folder of robotrain's, and the variable that names another one."""

    path: Path
    variable: str
    programs: tuple[str, ...] = ()
    """Of a cache, the folders in it whose entries are programs."""


def find_ownership_problems(folders: list[OwnFolder]) -> Iterator[Problem]:
    """Yield a problem for each folder that others may write to, or that has such an entry and that they may enter."""
    for folder in folders:
        for path in _list_places(folder):
            if reason := find_other_writer(path):
                yield _make_problem(path, reason, folder)
                break


def _list_places(folder: OwnFolder) -> Iterator[str]:
    """Yield the folder, and its entries and programs if others may enter it. One that cannot be read has none."""
    yield str(folder.path)
    with suppress(OSError):
        if os.stat(folder.path).st_mode & 0o011:
            for parent in ("", *folder.programs):
                with suppress(OSError), os.scandir(folder.path / parent) as entries:
                    yield from [entry.path for entry in entries]


def _make_problem(place: str, why: str, folder: OwnFolder) -> Problem:
    status = os.stat(place)
    ways = [Suggestion(f"{folder.variable}=FOLDER robotrain …", "a folder of your own")]
    if status.st_uid == os.geteuid():
        recursive = "-R " if stat.S_ISDIR(status.st_mode) else ""
        ways.insert(0, Suggestion(f"chmod {recursive}go-w {shlex.quote(place)}"))
    advice = "robotrain runs what lies there as you: first look for what others left."
    if folder.programs and not status.st_mode & 0o002:
        advice += " A group cannot share a cache; it can share data, as a folder that jobs read."
    return make_problem("folder-open-to-others", *ways, place=place, why=why, reason=advice)


def suggest_closing(folder: str | Path, reason: str) -> list[Suggestion]:
    """Return what keeps others from writing to a folder, by a reason of `find_other_writer`; nothing for theirs."""
    command_line = f"chmod -R go-w {shlex.quote(str(folder))}"
    return [Suggestion(command_line, "after a look for what others left")] if "can be written" in reason else []


def find_other_writer(path: str | Path) -> str:
    """Return how somebody else may have written what is at a path, in words; empty if nobody may.

    Root may, and so may the user's own group if it has no other member, as where the umask is 002.
    """
    try:
        status = os.stat(path)
    except OSError:
        return ""
    user = os.geteuid()
    if status.st_uid in (0, user) and not status.st_mode & 0o022:  # most are so, and names take time
        return ""
    owner = _name_user(status.st_uid)
    group = _name_group(status.st_gid)
    is_private = _is_private_group(status.st_gid)
    return explain_access(Access(status.st_uid, owner, status.st_mode, group, is_private, user, _name_user(user)))


class Access(NamedTuple):
    """Whom a file or folder belongs to, and who asks."""

    owner_id: int
    owner: str
    mode: int
    group: str
    is_private: bool
    """Whether the group is the user's own, without another member."""
    user_id: int
    user: str


def explain_access(access: Access) -> str:
    """Return how somebody else may have written something, in words; empty if nobody may. Pure."""
    if access.owner_id not in (0, access.user_id):
        return f"belongs to the user {access.owner}, not to {access.user}"
    if access.mode & 0o002:
        return "can be written by every user"
    return f"can be written by the group {access.group}" if access.mode & 0o020 and not access.is_private else ""


def _name_user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _name_group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _is_private_group(number: int) -> bool:
    try:
        group, user = grp.getgrgid(number), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return (group.gr_gid, group.gr_name) == (user.pw_gid, user.pw_name) and {*group.gr_mem} <= {user.pw_name}
