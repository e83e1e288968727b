"""Record pusht-camera: the first episodes of pusht-mini, drawn as camera images and saved as video.

Run it in any environment with LeRobot, such as the evaluation environment (examples/pusht-mini/README.md):
`python examples/pusht-camera/record_camera.py OUT`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
MINI = HERE.parent / "pusht-mini"
sys.path.insert(0, str(MINI))
from recorder import run_recorder, sort_statistics  # noqa: E402

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


def record(folder: Path, episodes: int) -> None:
    """Write the dataset."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from pusht_task import FPS, TASK

    dataset = LeRobotDataset.create("local/pusht-camera", fps=FPS, features=FEATURES, root=folder, robot_type="pusht")
    for episode in range(episodes):
        for frame in _frames(episode):
            dataset.add_frame({**frame, "task": TASK})
        dataset.save_episode()
    dataset.finalize()
    sort_statistics(folder)
    for video in folder.rglob("*.mp4"):
        video.chmod(0o644)  # LeRobot makes it readable by its owner only


def _frames(episode: int) -> Iterator[Frame]:
    import numpy as np
    import pyarrow.parquet as parquet

    rows = parquet.read_table(MINI / "dataset" / "data", filters=[("episode_index", "==", episode)]).to_pylist()
    for row in rows:
        agent, action = (np.array(row[name], np.float32) for name in ("observation.state", "action"))
        corners = np.array(row["observation.environment_state"]).reshape(8, 2)
        image = draw_image(agent * SIZE / WORLD, (corners + 1) * SIZE / 2)
        yield {"observation.state": agent, "observation.image": image, "action": action}


def draw_image(agent: NDArray[Any], corners: NDArray[Any]) -> NDArray[Any]:
    """Draw the T, which is two boxes, and the agent, from above."""
    import numpy as np

    points = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1) + 0.5
    image = np.full((SIZE, SIZE, 3), BACKGROUND, np.uint8)
    for box in (corners[:4], corners[4:]):
        image[_inside(points, box)] = BLOCK
    image[np.linalg.norm(points - agent, axis=-1) < AGENT_RADIUS] = AGENT
    return image


def _inside(points: NDArray[Any], box: NDArray[Any]) -> NDArray[Any]:
    """Return which points lie in a convex shape, whatever the direction of its corners."""
    import numpy as np

    sides = []
    for corner, edge in zip(box, np.roll(box, -1, axis=0) - box, strict=True):
        x, y = np.moveaxis(points - corner, -1, 0)
        sides.append(edge[0] * y - edge[1] * x)
    return (np.stack(sides) >= 0).all(0) | (np.stack(sides) <= 0).all(0)


if __name__ == "__main__":
    sys.exit(run_recorder(__doc__ or "", HERE / "dataset", 8, record))
