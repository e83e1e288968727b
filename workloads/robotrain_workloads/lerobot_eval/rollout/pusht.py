"""Places the parts of gym-pusht's world. Needs NumPy, which is imported only here and now."""

import importlib
from typing import Any

from robotrain_workloads.lerobot_eval.rollout.reach import GOAL, GOAL_ANGLE
from robotrain_workloads.lerobot_eval.rollout.starts import Ranges, Starts, States


def place(world: Any, starts: Starts, index: int, seed: int) -> None:
    """Put the block and the agent of a world that was just reset where episode `index` starts."""
    if isinstance(starts, States):
        across, up, *block, angle = starts.each[index % len(starts.each)]
        _put(world, (across, up), block, angle)
    else:
        _put(world, *_drawn(starts, seed))


def _drawn(ranges: Ranges, seed: int) -> tuple[Any, Any, float]:
    """The same seed gives the same start as in examples/pusht-mini: the same numbers are drawn in the same order."""
    numpy: Any = importlib.import_module("numpy")
    random = numpy.random.default_rng(seed)
    side, axis = _turning(numpy, GOAL_ANGLE).T
    angle = GOAL_ANGLE + random.uniform(*ranges.turn)
    block = numpy.array(GOAL) - axis * random.uniform(*ranges.distance) + side * random.uniform(*ranges.lateral)
    nearest, farthest = ranges.agent_behind
    seen_from_block = numpy.array([random.uniform(*ranges.agent_across), random.uniform(-farthest, -nearest)])
    return block + _turning(numpy, angle) @ seen_from_block, block, angle


def _turning(numpy: Any, angle: float) -> Any:
    """The matrix that turns the block's own axes into the world's."""
    return numpy.array([[numpy.cos(angle), -numpy.sin(angle)], [numpy.sin(angle), numpy.cos(angle)]])


def _put(world: Any, agent: Any, block: Any, angle: float) -> None:
    # The angle first: turning after moving would move the block again, about its centre of gravity.
    world.block.angle = angle
    world.block.position = tuple(block)
    world.agent.position = tuple(agent)
    world.agent.velocity = (0, 0)
    world.space.step(world.dt)  # contacts take effect
