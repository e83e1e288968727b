"""Episodes that are too short to learn from, tasks without text, and tasks with too few episodes to hold some out."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.recording import Array

SHORT_SECONDS, SHORT_PART = 0.5, 0.2
"""An episode is short if it has less, and less than this part of the usual length."""


def find_short_episodes(lengths: Array, fps: float, kept_episodes: Array) -> Iterator[DataFinding]:
    """Yield the episodes, of those that are kept, with one frame or two, or that are over at once."""
    usual = float(np.median(lengths[kept_episodes])) if len(kept_episodes) else 0.0
    is_short = (lengths <= 2) | ((lengths < SHORT_SECONDS * fps) & (lengths < SHORT_PART * usual))
    short = kept_episodes[is_short[kept_episodes]]
    if len(short):
        first = int(short[lengths[short].argmin()])
        frames = int(lengths[first])
        text = (
            f"episode {first} has {frames} frame{'s' * (frames != 1)}, and half of the episodes have {usual:g} or more"
        )
        yield make_data_finding(
            "episode-short",
            text,
            short,
            number=frames,
            unit="frames",
            spans=[(int(episode), 0, int(lengths[episode])) for episode in short],
        )


def find_empty_split(first_tasks: Mapping[int, str], part: float) -> Iterator[DataFinding]:
    """Yield that no episodes are held out, as a task would keep none."""
    counts = Counter(first_tasks.values())
    if part and (emptied := dataset.find_emptied_tasks(counts, part)):
        count = counts[emptied[0]]
        few = f"{count} episode{'s' * (count != 1)}" + (f" of {emptied[0]!r}" if len(counts) > 1 else "")
        text = f"no episodes are held out, so there is no val/loss: --val-split {part:g} of {few} leaves none"
        yield make_data_finding("validation-empty", text, number=len(first_tasks), unit="episodes")


def find_empty_tasks(first_tasks: Mapping[int, str], texts: Mapping[int, str]) -> Iterator[DataFinding]:
    """Yield the episodes whose task has no text, and the tasks without one."""
    empty = [number for number, text in texts.items() if not text.strip()]
    episodes = [episode for episode, task in first_tasks.items() if not task.strip()]
    if empty or episodes:
        which = f"task {empty[0]}" if empty else f"the task of episode {episodes[0]}"
        yield make_data_finding("task-empty", f"{which} has no text", episodes, number=len(empty))
