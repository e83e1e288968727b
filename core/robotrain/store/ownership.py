"""Whether other users may have written what robotrain takes for its own: then it is not used, as ssh does with keys."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from robotrain.errors import Problem, Stage, Suggestion, make_problem


class OwnFolder(NamedTuple):
    """A folder of robotrain's, and the variable that names another one."""

    path: Path
    variable: str


def find_ownership_problems(folders: list[OwnFolder]) -> Iterator[Problem]:
    """Yield a problem for each folder that others may write to, or that has such an entry."""
    for folder in folders:
        try:
            with os.scandir(folder.path) as entries:
                places = [str(folder.path), *(entry.path for entry in entries)]
        except OSError:  # it does not exist, or says elsewhere why it cannot be read
            continue
        for place in places:
            if why := find_other_writer(place):
                yield _make_problem(place, why, folder)
                break


def _make_problem(place: str, why: str, folder: OwnFolder) -> Problem:
    way = Suggestion(f"{folder.variable}=FOLDER robotrain …", "a folder of your own")
    ways = [way] if os.stat(place).st_uid != os.geteuid() else [Suggestion(f"chmod go-w {shlex.quote(place)}"), way]
    title, about = (
        f"{place} {why}",
        "robotrain runs what lies there as you: first look for what others left.",
    )
    return make_problem("folder-open-to-others", title, "", "", about, *ways, stage=Stage.RESOLVE)


def find_other_writer(place: str | Path) -> str:
    """Return how somebody else may have written what is at a path, in words; empty if nobody may.

    Root may, and so may the user's own group if it has no other member, as where the umask is 002.
    """
    try:
        found = os.stat(place)
    except OSError:
        return ""
    if found.st_uid not in (0, os.geteuid()):
        return f"belongs to the user {_name_user(found.st_uid)}, not to {_name_user(os.geteuid())}"
    if found.st_mode & 0o002:
        return "can be written by every user"
    if not found.st_mode & 0o020:
        return ""
    return "" if _is_private_group(found.st_gid) else f"can be written by the group {found.st_gid}"


def _name_user(number: int) -> str:
    import pwd  # costs start-up

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _is_private_group(number: int) -> bool:
    import grp  # costs start-up
    import pwd

    try:
        group, user = grp.getgrgid(number), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return (group.gr_gid, group.gr_name) == (user.pw_gid, user.pw_name) and {*group.gr_mem} <= {user.pw_name}
