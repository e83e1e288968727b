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
    usual_length = float(np.median(lengths[kept_episodes])) if len(kept_episodes) else 0.0
    is_short = (lengths <= 2) | ((lengths < SHORT_SECONDS * fps) & (lengths < SHORT_PART * usual_length))
    short_episodes = kept_episodes[is_short[kept_episodes]]
    if len(short_episodes):
        shortest_episode = int(short_episodes[lengths[short_episodes].argmin()])
        frames = int(lengths[shortest_episode])
        finding_text = (
            f"episode {shortest_episode} has {frames} frame{'s' * (frames != 1)}, and half of the "
            f"episodes have {usual_length:g} or more"
        )
        yield make_data_finding(
            "episode-short",
            finding_text,
            short_episodes,
            number=frames,
            unit="frames",
            spans=[(int(episode), 0, int(lengths[episode])) for episode in short_episodes],
        )


def find_empty_split(first_tasks: Mapping[int, str], held_out_part: float) -> Iterator[DataFinding]:
    """Yield that no episodes are held out, as a task would keep none."""
    counts = Counter(first_tasks.values())
    if held_out_part and (emptied_tasks := dataset.find_emptied_tasks(counts, held_out_part)):
        count = counts[emptied_tasks[0]]
        episodes_text = f"{count} episode{'s' * (count != 1)}" + (
            f" of {emptied_tasks[0]!r}" if len(counts) > 1 else ""
        )
        finding_text = (
            f"no episodes are held out, so there is no val/loss: --val-split {held_out_part:g} of "
            f"{episodes_text} leaves none"
        )
        yield make_data_finding("validation-empty", finding_text, number=len(first_tasks), unit="episodes")


def find_empty_tasks(first_tasks: Mapping[int, str], task_texts: Mapping[int, str]) -> Iterator[DataFinding]:
    """Yield the episodes whose task has no text, and the tasks without one."""
    empty = [number for number, task_text in task_texts.items() if not task_text.strip()]
    episodes = [episode for episode, task in first_tasks.items() if not task.strip()]
    if empty or episodes:
        empty_subject = f"task {empty[0]}" if empty else f"the task of episode {episodes[0]}"
        yield make_data_finding("task-empty", f"{empty_subject} has no text", episodes, number=len(empty))
