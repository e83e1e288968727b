"""Statistics of the dataset that a training reads, by its type and options: for normalization."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.problem import Problems, Suggestion, make_data_problem

from robotrain_workloads.dataset_check.data_needs import FEATURES_OPTION, REWARD, DataNeeds
from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.episode_numbers import EXCLUDED
from robotrain_workloads.lerobot.file_formats import read_json_object
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.policy_features import ACTION, STATE, WORLD

NORMALIZATION_OPTION = "normalization_mapping"
MODES: Mapping[str, Sequence[str]] = {
    "MEAN_STD": ("mean", "std"),
    "MIN_MAX": ("min", "max"),
    "QUANTILES": ("q01", "q99"),
    "QUANTILE10": ("q10", "q90"),
    "IDENTITY": (),
}
"""By mode of normalization, the statistics that it needs; old datasets lack the quantiles."""
PLAIN_MODE = "MEAN_STD"
NUMBER_KINDS = {STATE: "STATE", WORLD: "ENV", ACTION: "ACTION"}
"""By feature of numbers that every policy knows, its kind."""
IMAGENET = "imagenet"
IMAGENET_STATISTICS = ("mean", "std")
RELATIVE_OPTION = "use_relative_actions"
COMPUTED, STORED = "computed", "stored"
COMPUTED_WAY = "--statistics computed"


def are_computed(parameters: Mapping[str, Any], sources: Iterable[JobSource]) -> bool:
    """Return whether a training computes the statistics of numbers, instead of reading those of the dataset.

    LeRobot averages the quantiles of datasets that it merges, and keeps those of episodes that are left out.
    """
    if choice := parameters["statistics"]:
        return bool(choice == COMPUTED)
    return bool(parameters[EXCLUDED]) or [source.role for source in sources].count("dataset") > 1


def choose_statistics(parameters: Mapping[str, Any], sources: Iterable[JobSource]) -> str:
    """Return which statistics of numbers a training reads."""
    return COMPUTED if are_computed(parameters, sources) else STORED


def normalizes_relative_actions(job: LerobotJob) -> bool:
    """Return whether what a job trains normalizes actions relative to the state with the dataset's statistics."""
    return job.model.facts.relative_statistics and job.values.get(RELATIVE_OPTION) is True


def list_quantile_features(job: LerobotJob) -> list[str]:
    """Return the features that a training normalizes by quantiles which their dataset stores.

    None if the user chose these statistics, and of what resumes, which has its own.
    """
    is_resumed = job.start.mode == "checkpoint" or (job.start_source is not None and job.start_source.role == "resume")
    has_choice = bool(job.parameters.get("statistics", STORED))
    if has_choice or is_resumed or job.known_model is None or are_computed(job.parameters, job.sources):
        return []
    modes = _get_modes(job)
    features = [name for name, kind in NUMBER_KINDS.items() if modes.get(kind, "").startswith("QUANTILE")]
    return [name for name in features if name != ACTION or not normalizes_relative_actions(job)]


def list_read_numbers(job: LerobotJob) -> dict[str, list[str]]:
    """Return the options of the comparison of tables: which numbers a training reads beside those of every policy.

    `reads` are features, and `quantiles` are those of which it reads stored quantiles.
    """
    inputs = job.values.get(FEATURES_OPTION)
    reads = [REWARD] if job.known_model and job.model.facts.reads_reward else []
    reads += inputs if isinstance(inputs, dict) else []
    features_by_use = {"reads": reads, "quantiles": list_quantile_features(job)}
    return {name: features for name, features in features_by_use.items() if features}


def find_problems(needs: DataNeeds) -> Problems:
    """Yield one sentence for each reason why LeRobot cannot normalize the dataset."""
    statistics = _read_statistics(needs.job)
    is_imagenet = needs.job.parameters["image_normalization"] == IMAGENET
    if not _is_alone(needs.job) or dataset.is_convertible(needs.info):  # the run compares what is made of them
        return
    if is_imagenet and statistics is not None:  # without any, no other option helps
        yield from _find_picture_problems(needs, statistics)
    if not needs.resumes:  # a checkpoint has its own
        yield from _find_mode_problems(needs, statistics or {}, has_imagenet=is_imagenet)


def _read_statistics(job: LerobotJob) -> Mapping[str, Any] | None:
    """Return the statistics of the dataset, empty if they cannot be read; None without a file of them."""
    path = job.root / dataset.STATISTICS_FILE if job.root else None
    if path is None or not path.is_file():
        return None
    with suppress(OSError, ValueError):
        return read_json_object(path)
    return {}


def list_warnings(needs: DataNeeds) -> Iterator[str]:
    """Yield a sentence if LeRobot would train on raw values, though the type normalizes them."""
    statistics = _read_statistics(needs.job)
    if needs.resumes or not statistics or are_computed(needs.job.parameters, needs.job.sources):
        return
    modes = _get_modes(needs.job)
    features = dataset.get_features(needs.info)
    kinds = {STATE: "STATE", ACTION: "ACTION"}
    normalized_features = [name for name, kind in kinds.items() if name in features and MODES.get(modes.get(kind, ""))]
    unknown_features = [name for name in normalized_features if not isinstance(statistics.get(name), dict)]
    if unknown_features:
        lack_text = f"{dataset.STATISTICS_FILE} of the dataset lacks {' and '.join(unknown_features)}"
        yield f"{lack_text}: {needs.model.kind} is trained on values that are not normalized ({COMPUTED_WAY} mends it)"
    uses_them = needs.model.facts.relative_statistics or RELATIVE_OPTION not in needs.model.options
    if uses_them and ACTION in normalized_features and _is_alone(needs.job):
        yield from _list_relative_warnings(needs, statistics)


def _list_relative_warnings(needs: DataNeeds, statistics: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence if the statistics of actions are not of such as are learned, relative to the state or absolute.

    LeRobot's tool computes those of relative actions over all chunks, of anything else over the frames.
    """
    count, frames = ((statistics.get(name) or {}).get("count") for name in (ACTION, STATE))
    is_wanted = needs.values.get(RELATIVE_OPTION) is True
    if count is None or frames is None or is_wanted == (count != frames):
        return
    learned, other_kind = ("relative", "absolute") if is_wanted else ("absolute", "relative")
    source = f"{dataset.STATISTICS_FILE} of the dataset, which is of {other_kind} ones: {COMPUTED_WAY} mends it"
    yield f"{needs.model.kind} learns {learned} actions, and normalizes them with {source}"


def _is_alone(job: LerobotJob) -> bool:
    """Return whether there is one dataset: merged ones have statistics of their own."""
    return [source.role for source in job.sources].count("dataset") == 1


def _get_modes(job: LerobotJob) -> Mapping[str, str]:
    """Return by kind of feature how it is normalized."""
    mapping = job.values.get(NORMALIZATION_OPTION)
    modes: Mapping[str, Any] = mapping if isinstance(mapping, dict) else job.model.facts.normalization
    return {str(kind): str(mode) for kind, mode in modes.items()}


def _find_picture_problems(needs: DataNeeds, statistics: Mapping[str, Any]) -> Problems:
    """Yield a sentence if ImageNet's statistics have no place in those of the dataset: LeRobot fails on that."""
    features = dataset.get_features(needs.info)
    missing_cameras = [
        name
        for name in dataset.list_cameras(needs.info)
        if not isinstance(statistics.get(name), dict) and not dataset.is_depth(features[name])
    ]
    if missing_cameras:
        lack_text = f"{dataset.STATISTICS_FILE} of the dataset lacks {' and '.join(missing_cameras)}"
        yield make_data_problem(
            f"{lack_text}: LeRobot fails where it would put ImageNet's statistics",
            Suggestion("--image-normalization dataset", "trains on pictures that are not normalized"),
        )


def _find_mode_problems(needs: DataNeeds, statistics: Mapping[str, Any], *, has_imagenet: bool) -> Problems:
    """Yield a sentence if the dataset lacks statistics that the type normalizes with."""
    modes = _get_modes(needs.job)
    cameras = dataset.list_cameras(needs.info)
    number_kinds = {} if are_computed(needs.job.parameters, needs.job.sources) else NUMBER_KINDS
    for feature, kind in {**number_kinds, **dict.fromkeys(cameras, "VISUAL")}.items():
        mode = modes.get(kind, "")
        feature_statistics = statistics.get(feature)
        imagenet_statistics = IMAGENET_STATISTICS if has_imagenet and kind == "VISUAL" else ()
        missing_statistics = [
            name
            for name in MODES.get(mode, ())
            if isinstance(feature_statistics, dict) and name not in (*feature_statistics, *imagenet_statistics)
        ]
        if missing_statistics:
            plain_modes = {name: PLAIN_MODE if value == mode else value for name, value in modes.items()}
            lack_text = f"{dataset.STATISTICS_FILE} of the dataset lacks its {' and '.join(missing_statistics)}"
            way = needs.format_way(NORMALIZATION_OPTION, json.dumps(plain_modes)) if mode != PLAIN_MODE else ""
            way = COMPUTED_WAY if feature in number_kinds else way
            yield make_data_problem(f"{needs.model.kind} normalizes {feature} by {mode}, and {lack_text}", way)
            return
