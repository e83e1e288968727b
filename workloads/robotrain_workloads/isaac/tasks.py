"""The tasks that Isaac Lab 2.3 brings, as its documentation lists them, and what each needs.

An image may have others: what is said of a name is a warning. Isaac Lab 3.0 names tasks without a version.
"""

import difflib
from collections.abc import Iterator
from typing import NamedTuple

PREFIX, PLAY = "Isaac-", "-Play-v0"
_LIBRARIES = {"r": "rsl_rl", "s": "skrl"}
_TABLE = """
Ant-Direct rs, Ant rs, Cart-Double-Pendulum-Direct s, Cartpole-Depth-Camera-Direct sc, Cartpole-Depth c,
Cartpole-Direct rs, Cartpole-RGB-Camera-Direct sc, Cartpole-RGB-ResNet18 c, Cartpole-RGB-TheiaTiny c, Cartpole-RGB c,
Cartpole rs, Factory-GearMesh-Direct -, Factory-NutThread-Direct -, Factory-PegInsert-Direct -,
AutoMate-Assembly-Direct -, AutoMate-Disassembly-Direct -, Forge-GearMesh-Direct -, Forge-NutThread-Direct -,
Forge-PegInsert-Direct -, Franka-Cabinet-Direct rs, Humanoid-AMP-Dance-Direct s, Humanoid-AMP-Run-Direct s,
Humanoid-AMP-Walk-Direct s, Humanoid-Direct rs, Humanoid rs, Lift-Cube-Franka-IK-Abs -, Lift-Cube-Franka-IK-Rel -,
Lift-Cube-Franka rsp, Lift-Teddy-Bear-Franka-IK-Abs -, Tracking-LocoManip-Digit rp, Navigation-Flat-Anymal-C rsp,
Open-Drawer-Franka-IK-Abs -, Open-Drawer-Franka-IK-Rel -, Open-Drawer-Franka rsp, Quadcopter-Direct rs,
Reach-Franka-IK-Abs -, Reach-Franka-IK-Rel -, Reach-Franka-OSC rp, Reach-Franka rsp, Reach-UR10 rsp,
Repose-Cube-Allegro-Direct rs, Repose-Cube-Allegro-NoVelObs rsp, Repose-Cube-Allegro rsp, Repose-Cube-Shadow-Direct rs,
Repose-Cube-Shadow-OpenAI-FF-Direct rs, Repose-Cube-Shadow-OpenAI-LSTM-Direct -, Repose-Cube-Shadow-Vision-Direct rcp,
Shadow-Hand-Over-Direct s, Stack-Cube-Franka-IK-Rel -, Stack-Cube-Franka -,
Stack-Cube-Instance-Randomize-Franka-IK-Rel -, Stack-Cube-Instance-Randomize-Franka -, Velocity-Flat-Anymal-B rsp,
Velocity-Flat-Anymal-C-Direct rs, Velocity-Flat-Anymal-C rsp, Velocity-Flat-Anymal-D rsp, Velocity-Flat-Cassie rsp,
Velocity-Flat-Digit rp, Velocity-Flat-G1 rsp, Velocity-Flat-H1 rsp, Velocity-Flat-Spot rsp,
Velocity-Flat-Unitree-A1 rsp, Velocity-Flat-Unitree-Go1 rsp, Velocity-Flat-Unitree-Go2 rsp, Velocity-Rough-Anymal-B rsp,
Velocity-Rough-Anymal-C-Direct rs, Velocity-Rough-Anymal-C rsp, Velocity-Rough-Anymal-D rsp, Velocity-Rough-Cassie rsp,
Velocity-Rough-Digit rp, Velocity-Rough-G1 rsp, Velocity-Rough-H1 rsp, Velocity-Rough-Unitree-A1 rsp,
Velocity-Rough-Unitree-Go1 rsp, Velocity-Rough-Unitree-Go2 rsp
"""
"""Each with its signs: `r` and `s` for the libraries that it has an agent for, `c` if it needs cameras, `p` if there is
another one to play. Tasks that only show spaces of Gymnasium are left out.
"""
LEAST_LIKENESS = 0.9
"""Of a name and a known one, from 0 to 1, to be a mistake: many own tasks are named after Isaac Lab's."""


class Task(NamedTuple):
    """A task of Isaac Lab."""

    libraries: tuple[str, ...]
    """Those that it has an agent for, of rsl_rl and skrl."""
    needs_cameras: bool


def list_tasks() -> dict[str, Task]:
    """Return the tasks by name."""
    return dict(_iterate_tasks())


def _iterate_tasks() -> Iterator[tuple[str, Task]]:
    for entry in _TABLE.split(","):
        name, signs = entry.split()
        task = Task(tuple(library for sign, library in _LIBRARIES.items() if sign in signs), "c" in signs)
        yield f"{PREFIX}{name}-v0", task
        if "p" in signs:
            yield f"{PREFIX}{name}{PLAY}", task


def find_meant_task(name: str) -> str:
    """Return the task of Isaac Lab that a name is probably meant to be; empty if it is one, or is like none."""
    tasks = list_tasks()
    if name in tasks:
        return ""
    same = {known.lower().replace("_", "-"): known for known in tasks}
    near = difflib.get_close_matches(name.lower().replace("_", "-"), same, 1, LEAST_LIKENESS)
    return same[near[0]] if near else ""
