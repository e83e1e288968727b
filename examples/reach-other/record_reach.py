"""Record reach-other: a simulated arm of six joints that moves to random targets, at 20 frames a second.

Run it in any environment with LeRobot, such as the evaluation environment (examples/pusht-mini/README.md):
`python examples/reach-other/record_reach.py OUT`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "pusht-mini"))
from recorder import run_recorder, sort_statistics  # noqa: E402

if TYPE_CHECKING:
    from numpy.random import Generator

Frame = dict[str, Any]

FPS, FRAMES = 20, 40
JOINTS = [f"joint_{number}" for number in range(1, 7)]
SPEED = 0.15
"""Part of the remaining way that a joint moves in one frame."""
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (6,), "names": JOINTS},
    "observation.environment_state": {"dtype": "float32", "shape": (6,), "names": [f"{name}_goal" for name in JOINTS]},
    "observation.gripper_closed": {"dtype": "bool", "shape": (1,), "names": None},
    "action": {"dtype": "float32", "shape": (6,), "names": JOINTS},
}


def record(folder: Path, episodes: int) -> None:
    """Write the dataset."""
    import numpy as np
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    random = np.random.default_rng(0)
    dataset = LeRobotDataset.create(
        "local/reach-other", fps=FPS, features=FEATURES, root=folder, robot_type="six-joint-arm", use_videos=False
    )
    for _ in range(episodes):
        for frame in _frames(random):
            dataset.add_frame({**frame, "task": "Reach the place and grip"})
        dataset.save_episode()
    dataset.finalize()
    sort_statistics(folder)


def _frames(random: Generator) -> Iterator[Frame]:
    import numpy as np

    position, target = random.uniform(-1, 1, 6), random.uniform(-1, 1, 6)
    for _ in range(FRAMES):
        is_close = np.abs(target - position).max() < 0.05
        action = position + SPEED * (target - position)
        yield {
            "observation.state": position.astype("float32"),
            "observation.environment_state": target.astype("float32"),
            "observation.gripper_closed": np.array([is_close]),
            "action": action.astype("float32"),
        }
        position = action + random.normal(0, 0.002, 6)


if __name__ == "__main__":
    sys.exit(run_recorder(__doc__ or "", HERE / "dataset", 6, record))
