"""Record datasets that no example has, in the environment of LeRobot: `python policy_datasets.py OUT NAME`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class DatasetShape:
    """What a recorded dataset holds: four episodes of ten frames with random values and black images."""

    state: int = 2

    action: int = 2

    cameras: tuple[str, ...] = ()
    """Names of square cameras, without `observation.`."""

    size: int = 64
    """Width and height of an image, in pixels."""

    reward: bool = False
    """Each frame has `next.reward`."""


SHAPES = {
    "reward": DatasetShape(cameras=("image",), reward=True),
    "reward-small": DatasetShape(cameras=("image",), size=32, reward=True),
    "two-cameras": DatasetShape(cameras=("images.front", "images.wrist")),
}


def describe_features(shape: DatasetShape) -> dict[str, dict[str, Any]]:
    """Return the features as a dataset's description has them."""
    image = {"dtype": "image", "shape": (shape.size, shape.size, 3), "names": ["height", "width", "channels"]}
    sizes = {"observation.state": shape.state, "action": shape.action, "next.reward": int(shape.reward)}
    vectors = {name: {"dtype": "float32", "shape": (size,), "names": None} for name, size in sizes.items() if size}
    return {**vectors, **{f"observation.{camera}": image for camera in shape.cameras}}


def record_dataset(root: Path, shape: DatasetShape) -> None:
    """Record the dataset into the folder `root`, which must not exist."""
    import numpy as np
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    features = describe_features(shape)
    shapes = {name: feature["shape"] for name, feature in features.items()}
    cameras = [name for name, feature in features.items() if feature["dtype"] == "image"]
    dataset = LeRobotDataset.create("made/here", fps=10, features=features, root=root, use_videos=False)
    random = np.random.default_rng(0)
    for _ in range(4):
        for _ in range(10):
            values = {name: random.random(shape).astype("float32") for name, shape in shapes.items()}
            images = {camera: np.zeros(shapes[camera], np.uint8) for camera in cameras}
            dataset.add_frame({**values, **images, "task": "push the block onto the target"})
        dataset.save_episode()
    dataset.finalize()


if __name__ == "__main__":
    out, wanted = Path(sys.argv[1]), sys.argv[2]
    record_dataset(out / wanted, SHAPES[wanted])
