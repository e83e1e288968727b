"""Tasks of simulated environments: those that LeRobot knows, selected by name or group. Standard library only."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot_eval.inputs.simulation import SIMULATED_ENVIRONMENTS

SUITE_SEPARATOR = "/"
"""Between a suite and the number of a task in it."""


class TaskCatalog(NamedTuple):
    """The tasks of an environment."""

    tasks: Mapping[str, str]
    """By name, their descriptions in words; empty for none."""
    groups: Mapping[str, Sequence[str]] = {}
    """Names of several."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names of groups and tasks."""
        return (*self.groups, *self.tasks)


class UnknownTask(ValueError):
    """A name that is neither a task nor a group."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def get_catalog(env: str, lerobot_version: object = None) -> TaskCatalog:
    """Return the tasks of an environment; none for an environment that is one task."""
    simulated_tasks = {name: "" for name in SIMULATED_ENVIRONMENTS[env].tasks}
    catalog = versions.get_version(lerobot_version).read_tasks().get(env, {})
    return TaskCatalog({**simulated_tasks, **catalog.get("tasks", {})}, catalog.get("groups", {}))


def split_names(names_text: str) -> list[str]:
    """Return the names of a list with commas."""
    return [name for part in names_text.split(",") if (name := part.strip())]


def select_tasks(names_text: str, catalog: TaskCatalog) -> list[str]:
    """Return the named tasks in the order given, each once. Raise UnknownTask."""
    return list(dict.fromkeys(_expand(split_names(names_text), catalog)))


def _expand(names: Sequence[str], catalog: TaskCatalog) -> Iterator[str]:
    for name in names:
        if name in catalog.groups:
            yield from catalog.groups[name]
        elif name in catalog.tasks:
            yield name
        else:
            raise UnknownTask(name)


def make_task_options(task: str) -> list[str]:
    """Return LeRobot's options of the environment for one task, without a prefix."""
    if not task:
        return []
    suite, separator, number = task.rpartition(SUITE_SEPARATOR)
    if separator:
        return [f"--task={suite}", f"--task_ids=[{number}]"]
    return [f"--task={task}"]
