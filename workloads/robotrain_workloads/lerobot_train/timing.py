"""How far a video's frame may lie from the time that it was recorded at. Standard library only.

LeRobot takes the nearest frame and refuses one that is more than 0.1 ms away. What it puts together itself drifts by a
third of a microsecond an episode: some hundred episodes in one file, and it refuses its own. Half of the time between
two frames is where the nearest one could be the wrong one: half of that is always right.
"""

from contextlib import suppress
from pathlib import Path

from robotrain_workloads.lerobot_train import dataset


def tolerance(folder: Path) -> float | None:
    """Seconds; None for a dataset without videos."""
    with suppress(OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        found = dataset.info(folder)
        return 0.25 / float(found["fps"]) if dataset.has_video(found) else None
    return None
