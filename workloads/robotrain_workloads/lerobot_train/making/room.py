"""Whether there is disk enough for what is made. Standard library only."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from robotrain_workloads.lerobot_train.making.given import Given

VIDEOS = "videos"


def check(datasets: Sequence[Given], cache: Path, out: Path) -> None:
    """Raises OSError with a sentence when there is not."""
    needed = sum(_needed(one, cache, out, several=len(datasets) > 1) for one in datasets)
    free = shutil.disk_usage(out).free
    if needed > free:
        raise OSError(
            f"making one dataset of {', '.join(one.name for one in datasets)} needs {needed / 1e6:,.1f} MB"
            f" where {out} lies, and {free / 1e6:,.1f} MB are free"
        )


def _needed(one: Given, cache: Path, out: Path, *, several: bool) -> int:
    """Bytes: its own files again, and once more for what is changed and then merged. Videos of the cache are linked."""
    linked = cache in one.folder.parents and _same_disk(one.folder, out)
    videos = _size(one.folder / VIDEOS)
    rest = _size(one.folder) - videos
    return rest * (1 + (one.changes and several)) + (videos if one.old or not linked else 0)


def _same_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def _size(folder: Path) -> int:
    return sum(
        os.stat(os.path.join(at, name)).st_size for at, _, names in os.walk(folder, followlinks=True) for name in names
    )
