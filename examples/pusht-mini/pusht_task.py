"""Task of this example: the official PushT environment, from an easy start.

The T lies 80 to 130 pixels from its goal along the stem, slightly turned, and the agent waits behind its bar. Recording
and rollouts share this module, so that a policy meets the task that it was trained for.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gym_pusht.envs.pusht import PushTEnv
    from numpy.typing import NDArray

TASK = "Push the T onto the goal"
FPS = 10
WORLD_SIZE = 512
PICTURE_SIZE = 128
GOAL_POSITION = np.array([256.0, 256.0])
GOAL_ANGLE = np.pi / 4
FIRST_UNSEEN_SEED = 1_000_000
"""Recorded starts use seeds below this one, rollouts this one and above."""


def rotation(angle: float) -> NDArray[np.float64]:
    """Return the matrix from the T's own axes to the world's, for a T at this angle."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


GOAL_SIDE, GOAL_AXIS = rotation(GOAL_ANGLE).T
"""Unit vectors along the bar and along the stem of a T at its goal."""


def make_env() -> PushTEnv:
    """Return the official environment without its time limit: callers count steps, and continue at the goal."""
    with warnings.catch_warnings():
        # pygame imports the deprecated pkg_resources.
        warnings.simplefilter("ignore")
        from gym_pusht.envs.pusht import PushTEnv
    return PushTEnv(
        obs_type="environment_state_agent_pos", visualization_width=PICTURE_SIZE, visualization_height=PICTURE_SIZE
    )


def reset_to_easy_start(env: PushTEnv, seed: int) -> None:
    """Place the T and the agent; the same seed gives the same start."""
    env.reset(seed=seed)
    random = np.random.default_rng(seed)
    angle = GOAL_ANGLE + random.uniform(-0.25, 0.25)
    position = GOAL_POSITION - GOAL_AXIS * random.uniform(80, 130) + GOAL_SIDE * random.uniform(-20, 20)
    behind_the_bar = np.array([random.uniform(-80, 80), random.uniform(-110, -40)])
    # The angle first: turning rotates about the center of gravity, and would move the T again.
    env.block.angle = angle
    env.block.position = tuple(position)
    env.agent.position = tuple(position + rotation(angle) @ behind_the_bar)
    env.agent.velocity = (0, 0)
    env.space.step(env.dt)


def observe(env: PushTEnv) -> dict[str, NDArray[np.float32]]:
    """Return what a policy sees: the agent's position in pixels, and the T's 8 corner points scaled to -1..1.

    The points are scaled here because ACT does not normalize the environment state by default.
    """
    observation: dict[str, Any] = env.get_obs()
    keypoints = observation["environment_state"] / (WORLD_SIZE / 2) - 1
    return {
        "observation.state": observation["agent_pos"].astype(np.float32),
        "observation.environment_state": keypoints.astype(np.float32),
    }


def step(env: PushTEnv, action: NDArray[np.floating[Any]]) -> float:
    """Move the agent towards a point for a tenth of a second; return the covered part of the goal, 0 to 1."""
    info = env.step(np.clip(action, 0, WORLD_SIZE).astype(np.float64))[-1]
    return float(info["coverage"])
