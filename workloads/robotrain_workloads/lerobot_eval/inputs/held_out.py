"""Recorded episodes that no training of a policy saw, as its files and those of its earlier trainings say.

Standard library only.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import dataset, file_formats
from robotrain_workloads.lerobot.dataset import select_last_episodes
from robotrain_workloads.lerobot.file_formats import read_safetensors
from robotrain_workloads.lerobot.parameters import DEFAULT_VAL_SPLIT
from robotrain_workloads.lerobot_eval.inputs import selection

TRAIN_CONFIG_FILE = "train_config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTraining:
    """model: the folder of the policy that it made. part: of each task's episodes, that it held out. episodes: those it
    was given; None for all. begun: the policy that it began with, as LeRobot was told; empty for none. resumed: whether
    that is a checkpoint that it went on from.
    """

    model: Path
    part: float
    episodes: list[int] | None
    started_from: str
    is_resumed: bool


def read_training(model: Path) -> PolicyTraining | None:
    """None when nobody knows. Raises OSError or ValueError with a sentence."""
    if not (model / TRAIN_CONFIG_FILE).is_file():
        return None
    found = file_formats.read_json_object(model / TRAIN_CONFIG_FILE)
    told = found.get("dataset")
    if not isinstance(told, dict):
        return None
    policy = found.get("policy")
    begun = policy.get("pretrained_path") if isinstance(policy, dict) else None
    return PolicyTraining(
        model=model,
        part=_parse_part(model, told.get("eval_split") or 0),
        episodes=_parse_training_episodes(model, told.get("episodes") or []) or None,
        started_from=begun if isinstance(begun, str) else "",
        is_resumed=found.get("resume") is True,
    )


def _parse_part(model: Path, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{model / TRAIN_CONFIG_FILE}: dataset.eval_split must be a number from 0 to 1")
    return float(value)


def _parse_training_episodes(model: Path, value: Any) -> list[int]:
    if not isinstance(value, list) or not all(isinstance(number, int) for number in value):
        raise ValueError(f"{model / TRAIN_CONFIG_FILE}: dataset.episodes must be a list of whole numbers, or null")
    return value


COMPARED_FEATURES = ("action", "observation.state")
COMPARED_STATISTICS = ("count", "mean", "std", "min", "max")
NEEDED_STATISTICS = ("mean", "std")
NORMALIZER_STEPS = {
    "policy_preprocessor.json": "normalizer_processor",
    "policy_postprocessor.json": "unnormalizer_processor",
}


TOLERANCE = 1e-5
"""Policies keep statistics in 32 bits."""

Statistics = Mapping[str, tuple[float, ...]]
"""By `FEATURE.STATISTIC`."""


def is_same_dataset(root: Path, model: Path) -> bool:
    """Whether all that both know agrees. Raises OSError or ValueError for files that are not what they should be."""
    ours, theirs = _read_dataset_statistics(root), _read_policy_statistics(model)
    known = ours.keys() & theirs.keys()
    enough = {f"action.{name}" for name in NEEDED_STATISTICS} <= known
    return enough and all(_is_close(ours[name], theirs[name]) for name in known)


def _is_close(left: tuple[float, ...], right: tuple[float, ...]) -> bool:
    return len(left) == len(right) and all(
        math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for a, b in zip(left, right, strict=True)
    )


def _read_dataset_statistics(root: Path) -> Statistics:
    found = file_formats.read_json_object(root / dataset.STATISTICS_FILE)
    return {
        f"{feature}.{name}": tuple(map(float, values))
        for feature in COMPARED_FEATURES
        for name, values in (found.get(feature) or {}).items()
        if name in COMPARED_STATISTICS and isinstance(values, list)
    }


def _read_policy_statistics(model: Path) -> Statistics:
    """Of the first processor that has any."""
    return next(_read_normalizers(model), {})


def _read_normalizers(model: Path) -> Iterator[Statistics]:
    wanted = {f"{feature}.{name}" for feature in COMPARED_FEATURES for name in COMPARED_STATISTICS}
    for file, kind in NORMALIZER_STEPS.items():
        steps = file_formats.read_json_object(model / file).get("steps") or ()
        for step in steps:
            if step.get("registry_name") == kind and step.get("state_file"):
                yield {
                    name: values
                    for name, values in read_safetensors(model / step["state_file"]).items()
                    if name in wanted
                }


class TrainingHistory(NamedTuple):
    """trainings: on the dataset that was asked about, the policy's own first. why: nobody knows even that one; empty
    when it is known. doubt: why an earlier one may have seen more than those that are known.
    """

    trainings: list[PolicyTraining]
    why: str = ""
    doubt: str = ""


def load_training_history(root: Path, model: Path) -> TrainingHistory:
    """root: the dataset. A checkpoint that a training went on from may be gone: both held out the same."""
    own, why = _load_training(root, model)
    if own is None:
        return TrainingHistory([], why)
    found = [own]
    while found[-1].started_from:
        folder = _find_start_folder(found[-1])
        if folder is None:
            return TrainingHistory(
                found, doubt="" if found[-1].is_resumed else _format_doubt(found[-1].started_from, "it is not here")
            )
        if folder.resolve() in [one.model.resolve() for one in found]:
            break
        before, why = _load_training(root, folder)
        if before is None:
            return TrainingHistory(found, doubt=_format_doubt(str(folder), why))
        found.append(before)
    return TrainingHistory(found)


def _format_doubt(start_policy: str, why: str) -> str:
    return f"it was fine-tuned from {start_policy}, and whether that one saw them is not known: {why}"


def _load_training(root: Path, model: Path) -> tuple[PolicyTraining | None, str]:
    """The training that made a policy; None, and why, when nobody knows it, or it was on another dataset."""
    try:
        found = read_training(model)
        if found is None:
            return None, f"the policy has no {TRAIN_CONFIG_FILE} that says what it was trained on"
        if not is_same_dataset(root, model):
            return None, "the policy was trained on another dataset, as its statistics tell"
    except (OSError, ValueError) as error:
        return None, str(error)
    except (AttributeError, KeyError, TypeError):
        return None, "the statistics of the dataset, or of the policy, are not as LeRobot writes them"
    return found, ""


def _find_start_folder(training: PolicyTraining) -> Path | None:
    """The folder that a training began with: where it lay, or, of a run that was brought here as a whole, beside it."""
    begun = Path(training.started_from)
    beside = training.model.parent.with_name(begun.parent.name) / begun.name
    places = (begun, *((beside,) if training.is_resumed and begun.name == training.model.name else ()))
    return next((place for place in places if place.is_absolute() and place.is_dir()), None)


REPLAY_EPISODES_FLAG = "--replay-episodes"
DEFAULT_REASON = (
    f"those that a training holds out by default (--val-split {DEFAULT_VAL_SPLIT:g}), so that the two compare"
)
UNSEEN_REASON = "training held them out"
UNTRAINED_REASON = "the policy is untrained, and none is held out"
SEEN_REASON = "an earlier training of the policy saw all that its last one held out"


class EpisodeSelection(NamedTuple):
    """episodes: their numbers, in order. held_out: whether no training of the policy saw them. why: for people."""

    episodes: list[int]
    held_out: bool
    why: str


def choose_episodes(requested: str | None, root: Path, model: Path | None) -> EpisodeSelection:
    """asked: as `episode_list` reads it; None for held-out ones, else all. model: the folder of the policy; None for an
    untrained one. Raises ValueError with a sentence.
    """
    total = int(dataset.load_dataset_info(root)["total_episodes"])
    if model is None and requested in (None, selection.HELD_OUT) and (usual := _list_default_held_out(root)):
        return EpisodeSelection(
            usual, True, f"{_format_episodes(len(usual))} of {total} may be replayed: {DEFAULT_REASON}"
        )
    held, why, doubt = _find_unseen_episodes(root, model)
    if requested == selection.HELD_OUT and (why or doubt):
        raise ValueError(f"{REPLAY_EPISODES_FLAG} {requested}: {why or doubt} (--replay-episodes all)")
    if requested is None and why:
        return EpisodeSelection(list(range(total)), False, f"all {_format_episodes(total)} may be replayed: {why}")
    if requested in (None, selection.HELD_OUT):
        which = f"those that its last training held out; {doubt}" if doubt else "those that training held out"
        return EpisodeSelection(held, not doubt, f"{_format_episodes(len(held))} of {total} may be replayed: {which}")
    parts = selection.parse_episodes(str(requested))
    numbers = list(range(total)) if parts is None else selection.select_episodes(parts, total)
    seen = _describe_overlap(numbers, [] if doubt else held) if model else "the policy is untrained"
    return EpisodeSelection(
        numbers, seen == UNSEEN_REASON, f"{_format_episodes(len(numbers))} of {total} may be replayed, as asked: {seen}"
    )


def explain_unknown_split(root: Path, model: Path | None) -> str:
    """Why nobody can tell which episodes of this dataset the policy never saw; empty when that can be told."""
    if model is None:
        return UNTRAINED_REASON
    found = load_training_history(root, model)
    return found.why or _explain_empty_split(found.trainings) or found.doubt


def _find_unseen_episodes(root: Path, model: Path | None) -> tuple[list[int], str, str]:
    """The episodes that no known training of the policy saw; why there are none; why an unknown one may have."""
    if model is None:
        return [], UNTRAINED_REASON, ""
    trainings, why, doubt = load_training_history(root, model)
    if none := why or _explain_empty_split(trainings):
        return [], none, doubt
    tasks = dict(dataset.read_first_tasks(root))
    held = set(_list_held_out(tasks, trainings[0]))
    for one in trainings[1:]:
        held -= set(one.episodes or tasks) - set(_list_held_out(tasks, one))
    return sorted(held), "" if held else SEEN_REASON, doubt


def _explain_empty_split(trainings: Sequence[PolicyTraining]) -> str:
    """Why they held out no episode, as far as that is told without reading any."""
    if trainings[0].part == 0:
        return "its training held out none"
    return SEEN_REASON if any(one.part == 0 and one.episodes is None for one in trainings) else ""


def _list_held_out(tasks: Mapping[int, str], training: PolicyTraining) -> list[int]:
    return select_last_episodes(tasks.items(), training.part, training.episodes)


def _list_default_held_out(root: Path) -> list[int]:
    """What a training on all of it holds out by default; none where that would leave a task without any."""
    part = DEFAULT_VAL_SPLIT
    return (
        []
        if dataset.find_emptied_tasks(dataset.count_episodes_by_task(root), part)
        else select_last_episodes(dataset.read_first_tasks(root), part)
    )


def _describe_overlap(numbers: list[int], held_out_episodes: list[int]) -> str:
    return (
        UNSEEN_REASON if held_out_episodes and set(numbers) <= set(held_out_episodes) else "training may have seen them"
    )


def _format_episodes(count: int) -> str:
    return f"{count} episode{'s' * (count != 1)}"
