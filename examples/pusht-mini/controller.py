"""Scripted expert that the dataset was recorded from.

PushT contacts have no friction, and the T stops as soon as nobody pushes. So a push on the bar's flat face moves the T
along its stem, and turns it by the distance from the middle: the expert steers by choosing where on the bar to push.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pusht_task import GOAL_ANGLE, GOAL_AXIS, GOAL_POSITION, GOAL_SIDE, rotation

if TYPE_CHECKING:
    from gym_pusht.envs.pusht import PushTEnv
    from numpy.typing import NDArray

CENTER_OF_GRAVITY = np.array([0.0, 45.0])
"""In the T's own frame: x along the bar, y along the stem, the bar's flat face at y = 0."""

CONTACT = -17.0
"""The agent's y just before it (radius 15) touches the bar."""
CLEAR = -24.0
"""The agent's y at which it slides along the bar without touching it."""
AWAY = -40.0
"""How far the agent steps back from a T that moved too far."""
ALIGNED = 14.0
"""Largest distance from the agent to its place on the bar, in pixels, at which it pushes."""

HEADING_PER_PIXEL, LARGEST_HEADING = 0.012, 0.35
OFFSET_PER_RADIAN, LARGEST_OFFSET = 200.0, 45.0
SPEED_PER_PIXEL, SPEED_AT_GOAL = 0.5, 3.0
SLOWEST, FASTEST = -10.0, 25.0


def expert_action(env: PushTEnv) -> NDArray[np.float64]:
    """Return the agent's next target point, in pixels."""
    position, angle = np.array(env.block.position), env.block.angle
    to_world = rotation(angle)
    agent = to_world.T @ (np.array(env.agent.position) - position)
    target = _push(agent, _contact_offset(position, angle), _remaining(position, angle))
    return np.clip(position + to_world @ target, 10, 502)


def _remaining(position: NDArray[np.float64], angle: float) -> float:
    """Return how far the T has to move along the goal's stem."""
    return float((_center(GOAL_POSITION, GOAL_ANGLE) - _center(position, angle)) @ GOAL_AXIS)


def _contact_offset(position: NDArray[np.float64], angle: float) -> float:
    """Return where on the bar to push, from its middle, so that the T turns towards the goal's axis."""
    sideways = (_center(position, angle) - _center(GOAL_POSITION, GOAL_ANGLE)) @ GOAL_SIDE
    wanted_heading = np.clip(HEADING_PER_PIXEL * sideways, -LARGEST_HEADING, LARGEST_HEADING)
    turn = wanted_heading - (angle - GOAL_ANGLE)
    return float(np.clip(OFFSET_PER_RADIAN * turn, -LARGEST_OFFSET, LARGEST_OFFSET))


def _push(agent: NDArray[np.float64], offset: float, remaining: float) -> NDArray[np.float64]:
    """Slide along the bar until the agent is behind the offset, then push: slower near the goal, backwards beyond it.

    A single rule for pushing, waiting and stepping back has no jumps, which a policy would have to learn to the pixel.
    """
    if abs(agent[0] - offset) > ALIGNED and agent[1] < CONTACT and remaining > 0:
        return np.array([offset, min(agent[1], CLEAR)])
    speed = np.clip(SPEED_PER_PIXEL * remaining + SPEED_AT_GOAL, SLOWEST, FASTEST)
    return np.array([offset, max(agent[1] + speed, min(agent[1], AWAY))])


def _center(position: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    return position + rotation(angle) @ CENTER_OF_GRAVITY
