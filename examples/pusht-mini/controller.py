"""The scripted expert that the dataset was recorded from.

PushT's contacts have no friction and the T stops as soon as nobody pushes, so a push on the bar's flat face moves the T
along its stem, and turns it by how far from the middle it lands: steering is choosing where on the bar to push.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pusht_task import GOAL_ANGLE, GOAL_AXIS, GOAL_POSITION, GOAL_SIDE, rotation

if TYPE_CHECKING:
    from gym_pusht.envs.pusht import PushTEnv
    from numpy.typing import NDArray

CENTRE_OF_GRAVITY = np.array([0.0, 45.0])
"""In the T's own frame: x along the bar, y along the stem, the bar's flat face at y = 0."""

CONTACT = -17.0
"""The agent's y when it (radius 15) all but touches the bar."""
CLEAR = -24.0
"""The agent's y at which it slides along the bar without touching it."""
AWAY = -40.0
"""How far the agent steps back from a T that went too far."""
ALIGNED = 14.0
"""How near the agent must be to its place on the bar, in pixels, before it pushes."""

HEADING_PER_PIXEL, LARGEST_HEADING = 0.012, 0.35
OFFSET_PER_RADIAN, LARGEST_OFFSET = 200.0, 45.0
SPEED_PER_PIXEL, SPEED_AT_HOME = 0.5, 3.0
SLOWEST, FASTEST = -10.0, 25.0


def expert_action(env: PushTEnv) -> NDArray[np.float64]:
    """The point that the agent should move towards now, in pixels."""
    position, angle = np.array(env.block.position), env.block.angle
    to_world = rotation(angle)
    agent = to_world.T @ (np.array(env.agent.position) - position)
    target = _push(agent, _contact_offset(position, angle), _remaining(position, angle))
    return np.clip(position + to_world @ target, 10, 502)


def _remaining(position: NDArray[np.float64], angle: float) -> float:
    """How far the T still has to go along the goal's stem."""
    return float((_centre(GOAL_POSITION, GOAL_ANGLE) - _centre(position, angle)) @ GOAL_AXIS)


def _contact_offset(position: NDArray[np.float64], angle: float) -> float:
    """Where on the bar to push, from its middle, so that the T heads back to the goal's axis."""
    sideways = (_centre(position, angle) - _centre(GOAL_POSITION, GOAL_ANGLE)) @ GOAL_SIDE
    wanted_heading = np.clip(HEADING_PER_PIXEL * sideways, -LARGEST_HEADING, LARGEST_HEADING)
    turn = wanted_heading - (angle - GOAL_ANGLE)
    return float(np.clip(OFFSET_PER_RADIAN * turn, -LARGEST_OFFSET, LARGEST_OFFSET))


def _push(agent: NDArray[np.float64], offset: float, remaining: float) -> NDArray[np.float64]:
    """Slide along the bar until the agent is behind the offset, then push: slower near the goal, backwards beyond it.

    One law for pushing, waiting and stepping back has no jump in it, which a policy would have to learn to the pixel.
    """
    if abs(agent[0] - offset) > ALIGNED and agent[1] < CONTACT and remaining > 0:
        return np.array([offset, min(agent[1], CLEAR)])
    speed = np.clip(SPEED_PER_PIXEL * remaining + SPEED_AT_HOME, SLOWEST, FASTEST)
    return np.array([offset, max(agent[1] + speed, min(agent[1], AWAY))])


def _centre(position: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    return position + rotation(angle) @ CENTRE_OF_GRAVITY
