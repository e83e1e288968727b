"""The simulator: a gripper that moves by actions, from where a start state puts it, before two cameras."""

from types import SimpleNamespace
from typing import Any

import numpy as np

CAMERAS = ("agentview_image", "robot0_eye_in_hand_image")


class OffScreenRenderEnv:
    """An environment with the observations, names and shapes of LIBERO; task 1 succeeds at its fourth step.

    LeRobot lets the robot rest for ten steps after a reset: these do not count.
    """

    def __init__(self, bddl_file_name: str, camera_heights: int, camera_widths: int, **others: Any) -> None:
        self.size = (camera_heights, camera_widths)
        self.robots = [SimpleNamespace(controller=SimpleNamespace(ee_ori_mat=np.eye(3), use_delta=True))]
        self.env = self
        self.reset()

    def seed(self, seed: int) -> None:
        """Draw nothing: start states decide."""

    def reset(self) -> dict[str, Any]:
        """Return to the origin."""
        self.task, self.position, self.steps = 0, np.zeros(3), 0
        return self._get_observations()

    def set_init_state(self, state: Any) -> dict[str, Any]:
        """Put the gripper where the state says."""
        self.task, self.position[0] = int(state[0]), state[1]
        return self._get_observations()

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, dict[str, Any]]:
        """Move the gripper by the first three values."""
        assert len(action) == 7
        if list(action) != [0, 0, 0, 0, 0, 0, -1]:
            self.steps += 1
        self.position = self.position + np.asarray(action[:3], float)
        return self._get_observations(), float(self.check_success()), False, {}

    def check_success(self) -> bool:
        """Return whether the episode succeeded."""
        return self.task == 1 and self.steps >= 4

    def close(self) -> None:
        """Close nothing."""

    def _get_observations(self) -> dict[str, Any]:
        images = {}
        for number, camera in enumerate(CAMERAS, start=1):
            images[camera] = np.full((*self.size, 3), 100 * number, np.uint8)
            images[camera][0, 0] = 255  # a corner, which LeRobot turns to the opposite one
        return {
            **images,
            "robot0_eef_pos": self.position.copy(),
            "robot0_eef_quat": np.array([0.0, 0.0, 0.0, 1.0]),
            "robot0_gripper_qpos": np.zeros(2),
            "robot0_gripper_qvel": np.zeros(2),
            "robot0_joint_pos": np.zeros(7),
            "robot0_joint_vel": np.zeros(7),
        }
