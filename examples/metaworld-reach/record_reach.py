"""Record metaworld-reach: episodes of Meta-World's scripted policy for the task reach-v3, with pictures and words.

Run it in the environment that evaluates on Meta-World (README.md beside it):
`python examples/metaworld-reach/record_reach.py OUT`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "pusht-mini"))
from recorder import run_recorder, sort_statistics  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

Frame = dict[str, Any]

TASK, FIRST_SEED, MOST_FRAMES, FPS = "reach-v3", 5000, 100, 80
SIZE, REDUCTION = 96, 5
"""Of pictures, in pixels; the environment renders them five times as large."""
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (4,), "names": ["x", "y", "z", "gripper"]},
    "observation.image": {"dtype": "video", "shape": (SIZE, SIZE, 3), "names": ["height", "width", "channels"]},
    "action": {"dtype": "float32", "shape": (4,), "names": ["dx", "dy", "dz", "grip"]},
}


def record(folder: Path, episodes: int) -> None:
    """Write the dataset."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from lerobot.envs.configs import MetaworldEnv
    from lerobot.envs.factory import make_env

    env = make_env(MetaworldEnv(task=TASK))[TASK][0].envs[0]
    name = "local/metaworld-reach"
    dataset = LeRobotDataset.create(name, fps=FPS, features=FEATURES, root=folder, robot_type="sawyer")
    for episode in range(episodes):
        for frame in _play(env, FIRST_SEED + episode):
            dataset.add_frame({**frame, "task": env.task_description})
        dataset.save_episode()
    dataset.finalize()
    sort_statistics(folder)
    for video in folder.rglob("*.mp4"):
        video.chmod(0o644)  # LeRobot makes it readable by its owner only


def _play(env: Any, seed: int) -> Iterator[Frame]:
    """Yield the frames of an episode, until it succeeds. Raise SystemExit with a sentence if it does not."""
    import numpy as np

    observation, _ = env.reset(seed=seed)
    simulator = env._env
    for _ in range(MOST_FRAMES):
        action = np.clip(env.expert_policy.get_action(_read_simulator(simulator)), -1, 1).astype(np.float32)
        yield {
            "observation.state": observation["agent_pos"].astype(np.float32),
            "observation.image": _reduce(observation["pixels"]),
            "action": action,
        }
        raw, _, _, _, info = simulator.step(action)  # LeRobot's own step begins a new episode at once
        observation = env._format_raw_obs(raw)
        if info["success"]:
            return
    raise SystemExit(f"error: the scripted policy does not succeed in {MOST_FRAMES} frames from the seed {seed}")


def _reduce(picture: NDArray[Any]) -> NDArray[Any]:
    """Return a picture in which each pixel is the mean of a square of the given one."""
    import numpy as np

    squares = picture.reshape(SIZE, REDUCTION, SIZE, REDUCTION, 3)
    return squares.mean((1, 3)).round().astype(np.uint8)


def _read_simulator(simulator: Any) -> Any:
    """Return the observation that the scripted policy reads, with the place of the goal."""
    import numpy as np

    seen = np.array(simulator._get_obs())
    seen[-3:] = simulator._target_pos
    return seen


if __name__ == "__main__":
    sys.exit(run_recorder(__doc__ or "", HERE / "dataset", 6, record, "metaworld"))
