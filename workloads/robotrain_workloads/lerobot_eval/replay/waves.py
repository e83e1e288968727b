"""A policy acts in several recorded episodes at once, frame by frame: each frame of theirs is one batch."""

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_workloads.lerobot_eval import finite
from robotrain_workloads.lerobot_eval.loaded import Loaded
from robotrain_workloads.lerobot_eval.replay import errors
from robotrain_workloads.lerobot_eval.replay.asked import EpisodeReplayed, ReplayAsked
from robotrain_workloads.lerobot_eval.replay.reading import Recording


def waves(recording: Recording, asked: ReplayAsked) -> list[list[int]]:
    """The episodes by how long they are: a wave lasts as long as its longest one."""
    ordered = sorted(asked.episodes, key=recording.steps)
    return [ordered[start : start + asked.batch] for start in range(0, len(ordered), asked.batch)]


def act(
    loaded: Loaded, recording: Recording, episodes: Sequence[int], seed: int, measured: Mapping[int, Sequence[float]]
) -> Iterator[EpisodeReplayed]:
    """Each as it comes to its end. The same seed draws the same. measured: as `latency.measure` has it."""
    importlib.import_module("lerobot.utils.random_utils").set_seed(seed)
    loaded.policy.reset()
    steps = [recording.steps(episode) for episode in episodes]
    predicted, recorded = [], []
    for number, moment in enumerate(recording.moments(episodes), start=1):
        predicted.append(_fitting(loaded.act(moment.seen), moment.done))
        recorded.append(moment.done)
        for at, (episode, count) in enumerate(zip(episodes, steps, strict=True)):
            if number <= count:
                _check(predicted[-1][at], recorded[-1][at], f"episode {episode}, frame {number - 1}")
            if count == number:
                rows = ([row[at] for row in predicted], [row[at] for row in recorded])
                taken = (*measured.get(episode, ()), *[math.nan] * count)[:count]
                yield errors.told(episode, recording.names, *rows, taken)


def _check(predicted: Any, recorded: Any, at: str) -> None:
    finite.refuse(recorded, "the recorded action", at, "the dataset may be damaged")
    finite.refuse(predicted, "the policy's action", at)


def _fitting(action: Any, done: Any) -> Any:
    if action.shape[-1] == done.shape[-1]:
        return action
    raise SystemExit(
        f"error: the policy's actions have {action.shape[-1]} numbers, and those of the dataset {done.shape[-1]}:"
        " it was trained for something else"
    )
