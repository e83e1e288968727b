"""Suites of tasks: one, of three tasks. Each has a file of start states, made here when it is first wanted."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from libero.libero import get_libero_path


class Task(NamedTuple):
    """A task, as LIBERO describes it."""

    name: str
    language: str
    problem_folder: str
    bddl_file: str
    init_states_file: str


def make_task(folder: str, number: int) -> Task:
    """Return a task with two start states: its number and the state's, times ten."""
    name = f"pick_up_bowl_{number}"
    states = Path(get_libero_path("init_states"), folder, f"{name}.pruned_init")
    states.parent.mkdir(parents=True, exist_ok=True)
    torch.save(np.array([[number, 10.0 * state] for state in range(2)]), states)
    return Task(name, f"pick up bowl {number}", folder, f"{name}.bddl", states.name)


class Spatial:
    """The suite `libero_spatial`."""

    def __init__(self) -> None:
        self.tasks = [make_task("libero_spatial", number) for number in range(3)]

    def get_task(self, number: int) -> Task:
        """Return a task by its number."""
        return self.tasks[number]


Benchmark = Spatial


def get_benchmark_dict() -> dict[str, type[Spatial]]:
    """Return the suites by name."""
    return {"libero_spatial": Spatial}
