"""The policy of an evaluation, and its recorded episodes: those that are named, or that its trainings held out."""

import itertools
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.problem import Problems, make_data_problem

from robotrain_workloads.lerobot import (
    dataset,
    episode_numbers,
    file_formats,
    lineage,
    policy,
    policy_repositories,
    training_history,
)
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.lineage import SOURCE_KIND_NAMES
from robotrain_workloads.lerobot.parameters import DEFAULT_VAL_SPLIT
from robotrain_workloads.lerobot.training_history import PolicyTraining, Statistics
from robotrain_workloads.lerobot_eval.inputs.request import EvaluatedPolicy

BUILTIN_SOURCE = "builtin"
STEP_PATTERN = re.compile(r"(?:/(?:checkpoints|policy)/([0-9]{1,12})|/(0[0-9]{5}))(?:/pretrained_model)?/?$")
HELD_OUT, ALL = "held-out", "all"
NEEDED_STATISTICS = ("mean", "std")
TOLERANCE = 1e-5
"""Policies keep statistics in 32 bits."""
REPLAY_EPISODES_FLAG = "--replay-episodes"
DEFAULT_REASON = f"those that a training holds out by default (--val-split {DEFAULT_VAL_SPLIT:g}), for comparison"
UNTRAINED_REASON = "the policy is untrained: no episodes are held out"
SEEN_REASON = "an earlier training of the policy saw all episodes that the last one held out"


def is_same_dataset(dataset_statistics: Statistics, policy_statistics: Statistics) -> bool:
    """Return whether all statistics that both have agree."""
    common_names = dataset_statistics.keys() & policy_statistics.keys()
    for dataset_values, policy_values in ((dataset_statistics[name], policy_statistics[name]) for name in common_names):
        value_pairs = zip(dataset_values, policy_values, strict=False)
        if len(dataset_values) != len(policy_values) or not all(
            math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for a, b in value_pairs
        ):
            return False
    return {f"action.{name}" for name in NEEDED_STATISTICS} <= common_names


class TrainingHistory(NamedTuple):
    """Trainings of a policy on a dataset."""

    trainings: list[PolicyTraining]
    """The policy's own training first."""
    why: str = ""
    """Why not even the own training is known; empty if it is."""
    doubt: str = ""
    """Why an earlier, unknown training may have seen more episodes."""


def load_training_history(root: Path, model: Path) -> TrainingHistory:
    """Return the trainings on the dataset at `root`. A resumed checkpoint may be gone: it held out the same."""
    trainings: list[PolicyTraining] = []
    folder: Path | None = model
    while folder is not None and not training_history.is_known(folder, trainings):
        earlier_trainings, reason = _load_trainings(root, folder)
        trainings += earlier_trainings
        if reason and not trainings:
            return TrainingHistory([], reason)
        last_training = trainings[-1]
        if reason:
            return TrainingHistory(
                trainings, doubt=_format_doubt(last_training.started_from if earlier_trainings else str(folder), reason)
            )
        folder = training_history.find_start_folder(last_training)
        if folder is None and last_training.started_from and not last_training.is_resumed:
            return TrainingHistory(trainings, doubt=_format_doubt(last_training.started_from, "it is not here"))
    return TrainingHistory(trainings)


def _format_doubt(start_policy: str, reason: str) -> str:
    return f"it was fine-tuned from {start_policy}, which may have seen them: {reason}"


def _load_trainings(root: Path, model: Path) -> tuple[list[PolicyTraining], str]:
    """Return the trainings that the files of a policy tell, up to one that is unknown or used another dataset; why."""
    try:
        saved_trainings = training_history.read_trainings(model)
        if not saved_trainings:
            return [], f"the policy has no {training_history.TRAIN_CONFIG_FILE} with its training data"
        dataset_statistics = training_history.read_dataset_statistics(root)
        same_trainings = list(
            itertools.takewhile(
                lambda training: is_same_dataset(dataset_statistics, training.statistics), saved_trainings
            )
        )
    except (OSError, ValueError) as error:
        return [], str(error)
    except training_history.FORMAT_ERRORS:
        return [], "the statistics of the dataset or of the policy have an unknown format"
    return same_trainings, "" if len(same_trainings) == len(
        saved_trainings
    ) else "the policy was trained on another dataset: its statistics differ"


class EpisodeSelection(NamedTuple):
    """Episodes to replay."""

    episodes: list[int]
    """Their numbers, in order."""
    held_out: bool
    """Whether no training of the policy saw them."""
    why: str
    """An explanation for people."""


def choose_episodes(
    requested: str | None, root: Path, model: Path | None, excluded: str | None = None
) -> EpisodeSelection:
    """Choose the episodes to replay; `requested` None means held-out ones if known, else all.

    :param model: the folder of the policy; None for an untrained one.
    :param excluded: episodes that are left out.

    Raise ValueError with a sentence.
    """
    total = int(dataset.load_dataset_info(root)["total_episodes"])
    chosen_episodes, is_unseen, reason = _choose(requested, root, model, episode_numbers.leave_out(excluded, total))
    remaining_episodes = episode_numbers.leave_out(excluded, total, chosen_episodes)
    count = (
        f"{_format_episodes(len(remaining_episodes))} of {total}"
        if len(remaining_episodes) < total
        else f"all {_format_episodes(total)}"
    )
    return EpisodeSelection(
        remaining_episodes, is_unseen, f"{count} may be replayed{f', without {excluded}' * bool(excluded)}{reason}"
    )


def _choose(
    requested: str | None, root: Path, model: Path | None, kept_episodes: Collection[int]
) -> tuple[Collection[int], bool, str]:
    """Return the episodes, of which some may be left out, whether no training saw them, and the end of a sentence.

    :param kept_episodes: those that are not left out.
    """
    if model is None and requested in (None, HELD_OUT):
        counts = dataset.count_episodes_by_task(root, kept_episodes)
        if counts and not dataset.find_emptied_tasks(counts, DEFAULT_VAL_SPLIT):
            default = dataset.select_last_episodes(dataset.read_first_tasks(root), DEFAULT_VAL_SPLIT, kept_episodes)
            return default, True, f": {DEFAULT_REASON}"
    held_out, problem, doubt = _find_unseen_episodes(root, model)
    if requested == HELD_OUT and (problem or doubt):
        raise ValueError(f"{REPLAY_EPISODES_FLAG} {requested}: {problem or doubt} (--replay-episodes all)")
    if requested is None and problem:
        return kept_episodes, False, f": {problem}"
    if requested in (None, HELD_OUT):
        kind = f"those that the last training held out; {doubt}" if doubt else "those that training held out"
        return held_out, not doubt, f": {kind}"
    total = int(dataset.load_dataset_info(root)["total_episodes"])
    ranges = parse_episodes(str(requested))
    requested_episodes = kept_episodes if ranges is None else episode_numbers.select_episodes(ranges, total)
    is_unseen = bool(model and held_out and not doubt and set(requested_episodes) <= set(held_out))
    reason = "training held them out" if is_unseen else "training may have seen them"
    return requested_episodes, is_unseen, f", as requested: {reason if model else 'the policy is untrained'}"


def explain_unknown_split(root: Path, model: Path | None) -> str:
    """Return why the held-out episodes of this dataset are unknown; empty if they are known."""
    if model is None:
        return UNTRAINED_REASON
    history = load_training_history(root, model)
    return history.why or _explain_empty_split(history.trainings) or history.doubt


def _find_unseen_episodes(root: Path, model: Path | None) -> tuple[list[int], str, str]:
    """Return episodes that no known training saw, why there are none, and doubt about unknown trainings."""
    if model is None:
        return [], UNTRAINED_REASON, ""
    trainings, problem, doubt = load_training_history(root, model)
    if reason := problem or _explain_empty_split(trainings):
        return [], reason, doubt
    tasks = dict(dataset.read_first_tasks(root))
    held_out = set(_list_held_out(tasks, trainings[0]))
    for training in trainings[1:]:
        held_out -= set(training.episodes or tasks) - set(_list_held_out(tasks, training))
    return sorted(held_out), "" if held_out else SEEN_REASON, doubt


def _explain_empty_split(trainings: Sequence[PolicyTraining]) -> str:
    """Return why the trainings held out no episode, without reading episodes."""
    if trainings[0].part == 0:
        return "its training held out no episodes"
    return SEEN_REASON if any(training.part == 0 and training.episodes is None for training in trainings) else ""


def _list_held_out(tasks: Mapping[int, str], training: PolicyTraining) -> list[int]:
    return dataset.select_last_episodes(tasks.items(), training.part, training.episodes)


def _format_episodes(count: int) -> str:
    return f"{count} episode{'s' * (count != 1)}"


def find_policy(job: LerobotJob) -> EvaluatedPolicy:
    """Return the policy of a job, as far as its files are here."""
    if (source := job.start_source) is None:
        return EvaluatedPolicy(name=job.model.kind, source=BUILTIN_SOURCE)
    base = policy_repositories.find_base(job)
    return EvaluatedPolicy(
        name=source.uri,
        source=SOURCE_KIND_NAMES.get(source.kind, source.kind),
        pin=source.pin,
        run=_find_run(job),
        step=_find_step(job),
        folder=job.policy_folder,
        base=base[-1] if base else None,
    )


def _find_run(job: LerobotJob) -> str:
    manifest = lineage.read_checkpoint_manifest(job.policy_folder) if job.policy_folder else None
    return manifest.run if manifest else ""


def _find_step(job: LerobotJob) -> int:
    source, folder = job.start_source, job.policy_folder
    if source is None or folder is None:
        return 0
    if manifest := lineage.read_checkpoint_manifest(folder):
        return manifest.step
    with suppress(OSError, ValueError, TypeError):
        return int(file_formats.read_json_object(folder.parent / policy.STEP_FILE).get("step") or 0)
    policy_lineage = model_lineage.read_policy_lineage(Path(job.document.placement.cache), job.folders[source])
    if step := policy_lineage.get(model_lineage.POLICY_STEP, ""):
        return int(step) if step.isdecimal() else 0
    match = STEP_PATTERN.search(source.uri)
    return int(match[1] or match[2]) if match else 0


def parse_episodes(text: str) -> list[range] | None:
    """Return the ranges; None for `held-out` and `all`. Raise ValueError with a sentence."""
    return None if text in (HELD_OUT, ALL) else episode_numbers.parse_ranges(text)


def find_missing_episodes(job: LerobotJob) -> Iterator[str]:
    """Yield a sentence if the datasets do not have an episode to replay, or to leave out."""
    requested = job.parameters["replay_episodes"] or ALL
    datasets = lineage.list_dataset_sources(job.document)
    excluded = job.parameters[episode_numbers.EXCLUDED]
    if not datasets or len(datasets) != len(job.datasets):
        return
    with suppress(OSError, ValueError, KeyError, TypeError):  # dataset problems are reported already
        total = sum(int(dataset.load_dataset_info(job.folders[source])["total_episodes"]) for source in datasets)
        episode_selection = None
        try:
            episode_selection = episode_numbers.select_episodes(parse_episodes(str(requested)) or [], total) or None
        except ValueError as error:
            yield f"{REPLAY_EPISODES_FLAG} {requested}: {error}"
        try:
            episode_numbers.leave_out(excluded, total, episode_selection)
        except ValueError as error:
            yield str(error)


def find_split_problems(job: LerobotJob) -> Problems:
    """Yield a sentence if it is not known which episodes a training held out."""
    model, datasets = job.policy_folder, lineage.list_dataset_sources(job.document)
    if job.parameters["replay_episodes"] != HELD_OUT or len(datasets) != 1 or len(job.datasets) != 1 or not model:
        return
    if reason := explain_unknown_split(job.folders[datasets[0]], model):
        yield make_data_problem(f"{REPLAY_EPISODES_FLAG} {HELD_OUT}: {reason}", f"{REPLAY_EPISODES_FLAG} {ALL}")
