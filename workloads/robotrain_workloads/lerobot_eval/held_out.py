"""Which recorded episodes are replayed: those that the policy's training held out, where its files say which."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_workloads.lerobot_eval import episode_list, same_dataset
from robotrain_workloads.lerobot_train import dataset, json_object, split
from robotrain_workloads.lerobot_train.parameters import Parameters

CONFIG = "train_config.json"
FLAG = "--replay-episodes"
USUAL = f"those that a training holds out by default (--val-split {Parameters.val_split:g}), so that the two compare"
UNSEEN = "training held them out"


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
    why = unknown(root, model)
    held = [] if why or model is None else _held_out(root, _trained_on(model))
    if asked is None and why:
        return Chosen(list(range(total)), False, f"all {_episodes(total)} may be replayed: {why}")
    if asked in (None, episode_list.HELD_OUT):
        if why:
            raise ValueError(f"{FLAG} {asked}: {why} (--replay-episodes all)")
        return Chosen(held, True, f"{_episodes(len(held))} of {total} may be replayed: those that training held out")
    parts = episode_list.read(str(asked))
    numbers = list(range(total)) if parts is None else episode_list.chosen(parts, total)
    seen = _seen(numbers, held) if model else "the policy is untrained"
    return Chosen(numbers, seen == UNSEEN, f"{_episodes(len(numbers))} of {total} may be replayed, as asked: {seen}")


def unknown(root: Path, model: Path | None) -> str:
    """Why nobody can tell which episodes of this dataset the policy never saw; empty when that can be told."""
    if model is None:
        return "the policy is untrained, and none is held out"
    try:
        trained = _trained_on(model)
        if not trained:
            return f"the policy has no {CONFIG} that says what it was trained on"
        if not trained.get("eval_split"):
            return "its training held out none"
        same = same_dataset.same(root, model)
    except (OSError, ValueError) as error:
        return str(error)
    except (AttributeError, KeyError, TypeError):
        return "the statistics of the dataset, or of the policy, are not as LeRobot writes them"
    return "" if same else "the policy was trained on another dataset, as its statistics tell"


def last(episodes: Iterable[tuple[int, str]], part: float, among: Collection[int] | None = None) -> list[int]:
    """The last `part` of each task's, rounded up, as LeRobot holds them out. episodes: each with its task."""
    tasks: dict[str, list[int]] = defaultdict(list)
    for number, task in episodes:
        if among is None or number in among:
            tasks[task].append(number)
    return sorted(
        number for numbers in tasks.values() for number in numbers[len(numbers) - math.ceil(len(numbers) * part) :]
    )


def _held_out(root: Path, trained: dict[str, Any]) -> list[int]:
    return last(split.first_tasks(root), float(trained["eval_split"]), trained.get("episodes"))


def _usual(root: Path) -> list[int]:
    """What a training on all of it holds out by default; none where that would leave a task without any."""
    part = Parameters.val_split
    return [] if split.emptied_tasks(split.episodes_by_task(root), part) else last(split.first_tasks(root), part)


def _trained_on(model: Path) -> dict[str, Any]:
    """What the policy's training was told of its dataset; empty when nobody knows. Raises ValueError."""
    if not (model / CONFIG).is_file():
        return {}
    found = json_object.read(model / CONFIG).get("dataset")
    if not isinstance(found, dict):
        return {}
    part, numbers = found.get("eval_split") or 0, found.get("episodes") or []
    if isinstance(part, bool) or not isinstance(part, int | float) or not 0 <= part <= 1:
        raise ValueError(f"{model / CONFIG}: dataset.eval_split must be a number from 0 to 1")
    if not isinstance(numbers, list) or not all(isinstance(number, int) for number in numbers):
        raise ValueError(f"{model / CONFIG}: dataset.episodes must be a list of whole numbers, or null")
    return found


def _seen(numbers: list[int], held: list[int]) -> str:
    return UNSEEN if held and set(numbers) <= set(held) else "training may have seen them"


def _episodes(count: int) -> str:
    return f"{count} episode{'s' * (count != 1)}"
