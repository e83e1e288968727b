"""LeRobot holds out the last episodes of each task, rounded up: that would leave a task of one episode with none."""

import ast
import importlib
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.emit import emit
from robotrain_runtime.event import Note

from robotrain_workloads.lerobot_train.device import first_rank
from robotrain_workloads.lerobot_train.trainer_args import value_of

SPLIT = "--dataset.eval_split"


def guard(root: Path, arguments: Sequence[str]) -> list[str]:
    """Options that switch the held-out part off when a task would lose its only episodes, with a note; else none."""
    part = float(value_of(arguments, SPLIT) or 0)
    if not part:
        return []
    emptied = emptied_tasks(episodes_by_task(root, _chosen(arguments)), part)
    if not emptied:
        return []
    if first_rank():
        text = (
            f"no episodes are held out: a part of {part:g} would leave nothing to train on for"
            f" {len(emptied)} task(s), such as {emptied[0]!r}; so there is no val/loss"
        )
        emit(Note(level="warning", text=text))
    return [f"{SPLIT}=0", "--eval_steps=0"]


def emptied_tasks(episodes: Mapping[str, int], part: float) -> list[str]:
    """The tasks that keep no episode when `part` of each is held out."""
    return [task for task, count in episodes.items() if count - math.ceil(count * part) <= 0]


def episodes_by_task(root: Path, chosen: Collection[int] | None = None) -> dict[str, int]:
    """How many episodes each task has, counted by an episode's first task, as LeRobot does."""
    return dict(Counter(task for episode, task in first_tasks(root) if chosen is None or episode in chosen))


def first_tasks(root: Path) -> Iterator[tuple[int, str]]:
    """Each episode's number and its first task, in their order. Needs pyarrow."""
    parquet: Any = importlib.import_module("pyarrow.parquet")
    for file in sorted((root / "meta" / "episodes").glob("*/*.parquet")):
        table = parquet.read_table(file, columns=["episode_index", "tasks"]).to_pydict()
        for episode, tasks in zip(table["episode_index"], table["tasks"], strict=True):
            yield int(episode), tasks[0] if tasks else ""


def _chosen(arguments: Sequence[str]) -> Collection[int] | None:
    """The episodes given as `--dataset.episodes=[0,1]`; None for all, and for what only LeRobot understands."""
    try:
        said = ast.literal_eval(value_of(arguments, "--dataset.episodes") or "None")
    except (ValueError, SyntaxError):
        return None
    return said if isinstance(said, list) else None
