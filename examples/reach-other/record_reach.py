"""Record reach-other: an arm of six joints that moves to places at random, computed here, at 20 frames a second.

Run it with any environment that has LeRobot, such as that of evaluations (examples/pusht-mini/README.md):
`python examples/reach-other/record.py OUT`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "pusht-mini"))

if TYPE_CHECKING:
    from numpy.random import Generator

Frame = dict[str, Any]

FPS, FRAMES = 20, 40
JOINTS = [f"joint_{number}" for number in range(1, 7)]
SPEED = 0.15
"""The part of the way that is left which a joint goes in one frame."""
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (6,), "names": JOINTS},
    "observation.environment_state": {"dtype": "float32", "shape": (6,), "names": [f"{name}_goal" for name in JOINTS]},
    "observation.gripper_closed": {"dtype": "bool", "shape": (1,), "names": None},
    "action": {"dtype": "float32", "shape": (6,), "names": JOINTS},
}


def main() -> int:
    """Parse the command line, record, and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=HERE / "dataset", help="default: %(default)s")
    parser.add_argument("--episodes", type=int, default=6, help="how many (default: %(default)s)")
    given = parser.parse_args()
    from requirements_check import explain_missing

    if missing := explain_missing("lerobot"):
        print(missing, file=sys.stderr)
        return 2
    if given.folder.exists():
        print(f"{given.folder} exists already: move it away, or choose another folder", file=sys.stderr)
        return 2
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")
    record(given.folder, given.episodes)
    return 0


def record(folder: Path, episodes: int) -> None:
    """Write the dataset."""
    import numpy as np
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    random = np.random.default_rng(0)
    made = LeRobotDataset.create(
        "local/reach-other", fps=FPS, features=FEATURES, root=folder, robot_type="six-joint-arm", use_videos=False
    )
    for _ in range(episodes):
        for frame in _frames(random):
            made.add_frame({**frame, "task": "Reach the place and grip"})
        made.save_episode()
    made.finalize()
    statistics = folder / "meta" / "stats.json"
    statistics.write_text(json.dumps(json.loads(statistics.read_text()), indent=4, sort_keys=True))


def _frames(random: Generator) -> Iterator[Frame]:
    import numpy as np

    at, target = random.uniform(-1, 1, 6), random.uniform(-1, 1, 6)
    for _ in range(FRAMES):
        near = np.abs(target - at).max() < 0.05
        action = at + SPEED * (target - at)
        yield {
            "observation.state": at.astype("float32"),
            "observation.environment_state": target.astype("float32"),
            "observation.gripper_closed": np.array([near]),
            "action": action.astype("float32"),
        }
        at = action + random.normal(0, 0.002, 6)


if __name__ == "__main__":
    sys.exit(main())
