"""The tasks that each version of Isaac Lab brings, by `version_data`. Standard library only."""

import difflib
import functools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from robotrain_workloads.isaac.version_data import LIBRARIES, load_tasks

LEAST_LIKENESS = 0.85
"""Of a name and a task's, from 0 to 1, to be a mistake: many own tasks are named after Isaac Lab's."""
PREFIXES = ("Isaac-", "IsaacContrib-")
"""What the names of Isaac Lab's own tasks begin with."""


class Task(NamedTuple):
    """A task of Isaac Lab."""

    agents: Sequence[str] = ()
    """The entry points of its agents: `rsl_rl`, or `skrl_ippo` for another agent of skrl."""
    default: str = ""
    """The library that it is trained with unless told; empty if Isaac Lab names none."""
    deprecated: str = ""
    """The option, with its value, that replaces it; empty if it is to stay."""
    newton: str = ""
    """Where Isaac Sim is the default, the preset of `physics` that starts Newton instead; empty if there is none."""
    assets: Sequence[str] = ()
    """The files that its configuration names, below the asset root."""
    simulator: str = ""
    """`isaacsim` if it starts that by default; else empty."""
    cameras: bool = False
    """Whether it needs cameras that must be turned on."""

    def list_libraries(self) -> list[str]:
        """Return the libraries that train it by default settings of their own."""
        return [agent for agent in self.agents if agent in LIBRARIES]


@functools.cache
def list_tasks(version: str) -> Mapping[str, Task]:
    """Return the tasks by name."""
    content = load_tasks(version)
    shared_assets = content.get("assets", {})
    tasks = {name: Task(**fields) for name, fields in content["tasks"].items()}
    return {
        name: task._replace(assets=[shared_assets.get(asset, asset) for asset in task.assets])
        for name, task in tasks.items()
    }


def find_meant_task(name: str, version: str) -> str:
    """Return the task of a version that a name is probably meant to be; empty if it is one, or is like none."""
    tasks = list_tasks(version)
    if name in tasks:
        return ""
    tasks_by_plain_name = {_make_plain(task): task for task in tasks}
    nearest_tasks = difflib.get_close_matches(_make_plain(name), tasks_by_plain_name, 1, LEAST_LIKENESS)
    return tasks_by_plain_name[nearest_tasks[0]] if nearest_tasks else ""


def _make_plain(name: str) -> str:
    """Return a name without what differs between versions: capitals, prefix, number and most separators."""
    return re.sub(r"^isaac(contrib)?-|-v\d+$|(?<=[a-z])-(?=[a-z0-9]{1,2}\b)", "", name.lower().replace("_", "-"))
