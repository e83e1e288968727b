"""Which recorded episodes are replayed: those that the policy's trainings held out, where its files say which."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from robotrain_workloads.lerobot_eval import ancestry, episode_list
from robotrain_workloads.lerobot_eval.trained import Trained
from robotrain_workloads.lerobot_train import dataset, split
from robotrain_workloads.lerobot_train.parameters import Parameters

FLAG = "--replay-episodes"
USUAL = f"those that a training holds out by default (--val-split {Parameters.val_split:g}), so that the two compare"
UNSEEN = "training held them out"
UNTRAINED = "the policy is untrained, and none is held out"
SEEN_BEFORE = "an earlier training of the policy saw all that its last one held out"


class Chosen(NamedTuple):
    """episodes: their numbers, in order. held_out: whether no training of the policy saw them. why: for people."""

    episodes: list[int]
    held_out: bool
    why: str


def chosen(asked: str | None, root: Path, model: Path | None) -> Chosen:
    """asked: as `episode_list` reads it; None for held-out ones, else all. model: the folder of the policy; None for an
    untrained one. Raises ValueError with a sentence.
    """
    total = int(dataset.info(root)["total_episodes"])
    if model is None and asked in (None, episode_list.HELD_OUT) and (usual := _usual(root)):
        return Chosen(usual, True, f"{_episodes(len(usual))} of {total} may be replayed: {USUAL}")
    held, why, doubt = _unseen(root, model)
    if asked == episode_list.HELD_OUT and (why or doubt):
        raise ValueError(f"{FLAG} {asked}: {why or doubt} (--replay-episodes all)")
    if asked is None and why:
        return Chosen(list(range(total)), False, f"all {_episodes(total)} may be replayed: {why}")
    if asked in (None, episode_list.HELD_OUT):
        which = f"those that its last training held out; {doubt}" if doubt else "those that training held out"
        return Chosen(held, not doubt, f"{_episodes(len(held))} of {total} may be replayed: {which}")
    parts = episode_list.read(str(asked))
    numbers = list(range(total)) if parts is None else episode_list.chosen(parts, total)
    seen = _seen(numbers, [] if doubt else held) if model else "the policy is untrained"
    return Chosen(numbers, seen == UNSEEN, f"{_episodes(len(numbers))} of {total} may be replayed, as asked: {seen}")


def unknown(root: Path, model: Path | None) -> str:
    """Why nobody can tell which episodes of this dataset the policy never saw; empty when that can be told."""
    if model is None:
        return UNTRAINED
    found = ancestry.of(root, model)
    return found.why or _none(found.trainings) or found.doubt


def _unseen(root: Path, model: Path | None) -> tuple[list[int], str, str]:
    """The episodes that no known training of the policy saw; why there are none; why an unknown one may have."""
    if model is None:
        return [], UNTRAINED, ""
    trainings, why, doubt = ancestry.of(root, model)
    if none := why or _none(trainings):
        return [], none, doubt
    tasks = dict(split.first_tasks(root))
    held = set(_held_out(tasks, trainings[0]))
    for one in trainings[1:]:
        held -= set(one.episodes or tasks) - set(_held_out(tasks, one))
    return sorted(held), "" if held else SEEN_BEFORE, doubt


def _none(trainings: Sequence[Trained]) -> str:
    """Why they held out no episode, as far as that is told without reading any."""
    if trainings[0].part == 0:
        return "its training held out none"
    return SEEN_BEFORE if any(one.part == 0 and one.episodes is None for one in trainings) else ""


def last(episodes: Iterable[tuple[int, str]], part: float, among: Collection[int] | None = None) -> list[int]:
    """The last `part` of each task's, rounded up, as LeRobot holds them out. episodes: each with its task."""
    tasks: dict[str, list[int]] = defaultdict(list)
    for number, task in episodes:
        if among is None or number in among:
            tasks[task].append(number)
    return sorted(
        number for numbers in tasks.values() for number in numbers[len(numbers) - math.ceil(len(numbers) * part) :]
    )


def _held_out(tasks: Mapping[int, str], training: Trained) -> list[int]:
    return last(tasks.items(), training.part, training.episodes)


def _usual(root: Path) -> list[int]:
    """What a training on all of it holds out by default; none where that would leave a task without any."""
    part = Parameters.val_split
    return [] if split.emptied_tasks(split.episodes_by_task(root), part) else last(split.first_tasks(root), part)


def _seen(numbers: list[int], held: list[int]) -> str:
    return UNSEEN if held and set(numbers) <= set(held) else "training may have seen them"


def _episodes(count: int) -> str:
    return f"{count} episode{'s' * (count != 1)}"
