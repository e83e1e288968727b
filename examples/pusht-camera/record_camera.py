"""Record pusht-camera: the first episodes of pusht-mini, seen by a camera, which is drawn here and kept as video.

Run it with any environment that has LeRobot, such as that of evaluations (examples/pusht-mini/README.md):
`python examples/pusht-camera/record.py OUT`.
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
MINI = HERE.parent / "pusht-mini"
sys.path.insert(0, str(MINI))

if TYPE_CHECKING:
    from numpy.typing import NDArray

Frame = dict[str, Any]

SIZE, WORLD = 64, 512
AGENT_RADIUS = 15 * SIZE / WORLD
BACKGROUND, BLOCK, AGENT = 235, (110, 120, 140), (60, 90, 220)
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (2,), "names": ["agent_x", "agent_y"]},
    "observation.image": {"dtype": "video", "shape": (SIZE, SIZE, 3), "names": ["height", "width", "channels"]},
    "action": {"dtype": "float32", "shape": (2,), "names": ["target_x", "target_y"]},
}


def main() -> int:
    """Parse the command line, record, and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=HERE / "dataset", help="default: %(default)s")
    parser.add_argument("--episodes", type=int, default=8, help="how many to take over (default: %(default)s)")
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
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from pusht_task import FPS, TASK

    made = LeRobotDataset.create("local/pusht-camera", fps=FPS, features=FEATURES, root=folder, robot_type="pusht")
    for episode in range(episodes):
        for frame in _frames(episode):
            made.add_frame({**frame, "task": TASK})
        made.save_episode()
    made.finalize()
    statistics = folder / "meta" / "stats.json"
    statistics.write_text(json.dumps(json.loads(statistics.read_text()), indent=4, sort_keys=True))
    for video in folder.rglob("*.mp4"):
        video.chmod(0o644)  # LeRobot leaves it to its owner alone


def _frames(episode: int) -> Iterator[Frame]:
    import numpy as np
    import pyarrow.parquet as parquet

    rows = parquet.read_table(MINI / "dataset" / "data", filters=[("episode_index", "==", episode)]).to_pylist()
    for row in rows:
        agent, action = (np.array(row[name], np.float32) for name in ("observation.state", "action"))
        corners = np.array(row["observation.environment_state"]).reshape(8, 2)
        picture = _picture(agent * SIZE / WORLD, (corners + 1) * SIZE / 2)
        yield {"observation.state": agent, "observation.image": picture, "action": action}


def _picture(agent: NDArray[Any], corners: NDArray[Any]) -> NDArray[Any]:
    """The T, which is two boxes, and the agent, from above."""
    import numpy as np

    points = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1) + 0.5
    picture = np.full((SIZE, SIZE, 3), BACKGROUND, np.uint8)
    for box in (corners[:4], corners[4:]):
        picture[_inside(points, box)] = BLOCK
    picture[np.linalg.norm(points - agent, axis=-1) < AGENT_RADIUS] = AGENT
    return picture


def _inside(points: NDArray[Any], box: NDArray[Any]) -> NDArray[Any]:
    """Which points lie in a convex shape, whichever way its corners go round."""
    import numpy as np

    sides = []
    for corner, edge in zip(box, np.roll(box, -1, axis=0) - box, strict=True):
        x, y = np.moveaxis(points - corner, -1, 0)
        sides.append(edge[0] * y - edge[1] * x)
    return (np.stack(sides) >= 0).all(0) | (np.stack(sides) <= 0).all(0)


if __name__ == "__main__":
    sys.exit(main())
