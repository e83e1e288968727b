"""One dataset of one or several, made with LeRobot's own tools."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_train import made
from robotrain_workloads.lerobot_train.making.given import Given
from robotrain_workloads.lerobot_train.making.linking import Linking
from robotrain_workloads.lerobot_train.making.viewing import view

LONGEST = 400
"""Of LeRobot's own words, which repeat every feature."""


def one_of(datasets: Sequence[Given], scratch: Path, linking: Linking) -> Path:
    """The folder it is made in, below `scratch`. Raises OSError or ValueError with a sentence."""
    views = [view(given, scratch / str(at)) for at, given in enumerate(datasets)]
    features = made.shared([made.features(given.info) for given in datasets])
    for given, folder, described in zip(datasets, views, features, strict=True):
        given.describe(folder, described)
    target = scratch / "made"
    if len(datasets) > 1:
        _merge(datasets, views, target, linking)
    else:
        linking.tree(views[0], target)
    return target


def _merge(datasets: Sequence[Given], views: Sequence[Path], target: Path, linking: Linking) -> None:
    """In the order given. Videos stay one file each: put together, they drift a third of a microsecond an episode."""
    episodes = sum(int(given.info["total_episodes"]) for given in datasets)
    print(f"merging {len(datasets)} datasets: {episodes} episodes", flush=True)
    aggregate: Any = importlib.import_module("lerobot.datasets.aggregate")
    aggregate.shutil = linking  # of which it uses `copy`, for videos
    try:
        aggregate.aggregate_datasets(
            repo_ids=[f"local/{folder.name}" for folder in views],
            aggr_repo_id="local/merged",
            roots=list(views),
            aggr_root=target,
            concatenate_videos=False,
        )
    except (OSError, ValueError) as error:
        names = " and ".join(given.name for given in datasets)
        raise ValueError(f"LeRobot could not merge {names}: {str(error)[:LONGEST]}") from error
