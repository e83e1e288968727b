"""Write a LeRobot dataset from arrays: a program for LeRobot's environment, which `convert_to_lerobot.py` starts.

Its standard input has one JSON a line: the dataset, then the episodes of each bag.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def write_dataset(job: dict[str, Any], bags: Iterator[list[dict[str, Any]]]) -> None:
    """Write the dataset with LeRobot's own API, and say when a bag is written."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")
    import numpy as np
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    first_episodes = next(bags)
    dataset = LeRobotDataset.create(
        "local/bags",
        fps=round(job["fps"]),
        features=_describe_features(job, first_episodes[0]["shapes"]),
        root=job["to"],
        robot_type=job["robot"] or None,
        use_videos=job["video"],
    )
    number = 0
    for episodes in itertools.chain([first_episodes], bags):
        for episode in episodes:
            number += 1
            feature_values = {name: np.load(file) for name, file in episode["arrays"].items()}
            cameras = {
                name: (np.load(camera["pictures"], mmap_mode="r"), np.load(camera["places"]))
                for name, camera in episode["cameras"].items()
            }
            for step in range(episode["steps"]):
                frame: dict[str, Any] = {name: array[step] for name, array in feature_values.items()}
                frame |= {
                    name: np.array(pictures[picture_numbers[step]])
                    for name, (pictures, picture_numbers) in cameras.items()
                }
                dataset.add_frame({**frame, "task": job["task"]})
            dataset.save_episode()
            print(f"episode {number} of {job['episodes']} written", flush=True)
        print("bag written", flush=True)
    dataset.finalize()
    if job["video"]:
        shutil.rmtree(Path(job["to"]) / "images", ignore_errors=True)  # where LeRobot collected the pictures
    for file in Path(job["to"]).rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)  # LeRobot makes videos readable by their owner only


def _describe_features(job: dict[str, Any], shapes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the features as LeRobot describes them."""
    features: dict[str, dict[str, Any]] = {}
    for name, shape in shapes.items():
        if name.startswith("observation.images."):
            kind = "video" if job["video"] else "image"
            dimension_names = ["height", "width", "channels"]
        else:
            kind = "float32"
            dimension_names = job["names"].get(name) or [
                f"{name.rpartition('.')[2]}_{index}" for index in range(shape[0])
            ]
        features[name] = {"dtype": kind, "shape": tuple(shape), "names": dimension_names}
    return features


if __name__ == "__main__":
    lines = map(json.loads, sys.stdin)
    write_dataset(next(lines), lines)
