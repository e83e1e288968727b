"""Datasets of a job: problems of each, conflicts between them, and the merged dataset.

LeRobot merges datasets only if their features are described identically, including details without effect: its
converter from v2.1 adds a frame rate to each, and each version describes videos differently. Only the details that all
datasets state are kept.
"""

import copy
import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.container_plugin import DataPreparation
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.problem import Problem, Suggestion, make_data_problem

from robotrain_workloads.bag_parameters import has_bags
from robotrain_workloads.lerobot import dataset, file_formats
from robotrain_workloads.lerobot.job import LerobotJob

BAGS = "bags"
"""The parameter with which a job's datasets are bags."""
DESCRIPTION_FILES = {"dataset": (dataset.INFO_FILE.as_posix(),)}
MERGE_PROGRAM = "robotrain_workloads.lerobot.dataset_merge"
MERGE_FORMAT = 1
"""Incremented when the same data would produce another dataset."""
MERGE_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TQDM_DISABLE": "1",
    "NO_COLOR": "1",
}
DatasetFeatures = dict[str, dict[str, Any]]
ENCODER_KEYS = {f"video.{name}" for name in ("g", "crf", "preset", "fast_decode", "extra_options", "video_backend")}
"""How a video was encoded: LeRobot merges videos that differ in these."""
LEGACY_KEYS = {"video.is_depth_map": "is_depth_map"}
MERGED_PATHS = {
    "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
}
"""Where LeRobot looks for the files of datasets that it merges, whatever their description says."""


def find_data_problems(job: LerobotJob) -> Iterator[Problem | str]:
    """Yield one sentence for each problem that small files, or descriptions alone, show."""
    valid_datasets = []
    for source in dict.fromkeys(job.datasets):
        problems = list(find_source_problems(job, source, description_only=not job.is_complete))
        yield from problems
        if not problems:
            valid_datasets.append((source.uri, dataset.load_dataset_info(job.folders[source])))
    yield from find_merge_conflicts(valid_datasets)


def find_source_problems(job: LerobotJob, source: JobSource, *, description_only: bool) -> Iterator[Problem | str]:
    """Yield one sentence for each problem of one dataset."""
    folder, convert = job.folders[source], job.parameters["convert_v21"] is True
    if source.kind == "local_path" and not description_only:  # fetched data may be linked into a cache
        yield from dataset.find_unsafe_links(folder, source.uri)
    is_described = (folder / dataset.INFO_FILE).is_file()
    takes_bags = not is_described and BAGS in job.parameters
    if not is_described and has_bags(folder):
        yield make_bags_problem(job, source)
        return
    problems = dataset.find_dataset_problems(folder, source.uri, convert=convert, description_only=description_only)
    nested_datasets = dataset.list_nested_datasets(folder) if source.kind == "local_path" else []
    for finding in map(make_data_problem, problems):
        if any(way.text == dataset.CONVERT_FLAG for way in finding.suggestions):
            is_whole = str(folder) == source.uri  # a folder of this machine, not only what describes it
            conversion_problems = dataset.find_dataset_problems(
                folder, source.uri, convert=True, description_only=not is_whole
            )
            if faults := [make_data_problem(fault).title for fault in conversion_problems]:
                yield f"{finding.title}; it cannot be converted: {'; '.join(faults)}"
                continue
        suggestion: Suggestion | str = (
            f"--dataset-path {shlex.quote(str(nested_datasets[0]))}"
            if nested_datasets and not finding.suggestions
            else ""
        )
        if takes_bags and source.kind != "local_path":  # of which only what describes it is here
            suggestion = Suggestion("--bags", "if it holds ROS 2 bags")
        yield make_data_problem(finding, suggestion)


def make_bags_problem(job: LerobotJob, source: JobSource) -> Problem:
    """Return the problem of bags that a job takes for a dataset."""
    way = Suggestion("--bags", "converts them") if BAGS in job.parameters else ""
    return make_data_problem(f"{source.uri} holds ROS 2 bags, not a LeRobot dataset", way)


def plan_preparation(
    document: JobDocument, data: Mapping[JobSource, Path], digests: Mapping[JobSource, str]
) -> DataPreparation | None:
    """Return the program that makes the dataset; None when one is used as it is. Raise OSError or ValueError."""
    sources = LerobotJob(document, data).datasets
    infos = [dataset.load_dataset_info(data[source], source.uri) for source in sources]
    if len(sources) < 2 and not any(dataset.is_convertible(info) or find_boolean_features(info) for info in infos):
        return None
    source_digests = [digests.get(source, "") for source in sources]  # empty when the content of a dataset is unknown
    key = hashlib.sha256(
        json.dumps([MERGE_FORMAT, document.parameters["lerobot_version"], source_digests]).encode()
    ).hexdigest()
    return DataPreparation(
        sources=tuple(dict.fromkeys(sources)),
        key=key if all(source_digests) else "",
        arguments=(
            *("-m", MERGE_PROGRAM, f"--cache={document.placement.cache}"),
            *(word for source in sources for word in ("--dataset", str(data[source]), source.uri)),
        ),
        environ=MERGE_ENVIRONMENT,
    )


def normalize_features(info: Mapping[str, Any]) -> DatasetFeatures:
    """Return the features of one dataset, from its description, in a form that can be compared."""
    features = copy.deepcopy(dataset.get_features(info))
    for name in find_boolean_features(info):
        features[name]["dtype"] = "float32"
    for name, feature in features.items():
        video = feature.get("info") or feature.get("video_info")
        features[name] = {key: value for key, value in feature.items() if key not in ("fps", "info", "video_info")}
        if isinstance(video, dict):
            features[name]["info"] = {LEGACY_KEYS.get(key, key): value for key, value in video.items()}
    return features


def find_boolean_features(info: Mapping[str, Any]) -> list[str]:
    """Return the boolean features that a policy reads or learns: LeRobot cannot normalize them."""
    return [
        name
        for name, feature in dataset.get_features(info).items()
        if name.startswith(("observation", "action")) and feature.get("dtype") == "bool"
    ]


def unify_video_info(sets: Sequence[DatasetFeatures]) -> list[DatasetFeatures]:
    """Return the features where each dataset states of a video only what all of them state."""
    unified_features = copy.deepcopy(list(sets))
    for name in {name for features in unified_features for name, feature in features.items() if "info" in feature}:
        infos = [
            feature.get("info", {}) for features in unified_features if (feature := features.get(name)) is not None
        ]
        common_keys = set.intersection(*map(set, infos)) | ENCODER_KEYS
        for feature in (features[name] for features in unified_features if name in features):
            feature["info"] = {key: value for key, value in feature.get("info", {}).items() if key in common_keys}
    return unified_features


def write_source_sizes(
    folder: Path, infos: Sequence[Mapping[str, Any]], bag_episodes: Sequence[int] | None = None
) -> None:
    """Write the episodes and frames of each source, in order, and the episodes of each bag if it is made of bags."""
    source_sizes = [{"episodes": int(info["total_episodes"]), "frames": int(info["total_frames"])} for info in infos]
    bags = {} if bag_episodes is None else {"bag_episodes": list(bag_episodes)}
    (folder / dataset.SIZES_FILE).write_text(json.dumps({"made_of": source_sizes, **bags}) + "\n", encoding="utf-8")


def read_bag_episodes(folder: Path) -> list[int]:
    """Return the episodes of each bag that a dataset is made of, in order; empty if it is made of none."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return [int(count) for count in file_formats.read_json_object(folder / dataset.SIZES_FILE)["bag_episodes"]]
    return []


def read_source_size(folder: Path, index: int, count: int) -> tuple[int, int] | None:
    """Return episodes and frames of source `index` of `count` that `folder` was made of; None when unknown."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if count > 1:
            source_sizes = file_formats.read_json_object(folder / dataset.SIZES_FILE)["made_of"]
            return (
                (int(source_sizes[index]["episodes"]), int(source_sizes[index]["frames"]))
                if len(source_sizes) == count
                else None
            )
        info = dataset.load_dataset_info(folder)
        return int(info["total_episodes"]), int(info["total_frames"])
    return None


def find_merge_conflicts(sets: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[Problem | str]:
    """Yield each conflict.

    `sets` holds the name and the description of each dataset; each is valid by itself.
    """
    if len(sets) < 2:
        return
    (base_name, base_info), *other_datasets = sets
    for name, info in other_datasets:
        differing_keys = [key for key in ("fps", "robot_type") if base_info.get(key) != info.get(key)]
        yield from (
            _describe_difference(key, base_name, base_info.get(key), name, info.get(key)) for key in differing_keys
        )
        yield from _compare_features(
            base_name, normalize_features(base_info), name, normalize_features(info), with_remedies=not differing_keys
        )
    for name, info in sets:
        for key, required_path in MERGED_PATHS.items():
            recorded_path = info.get(key)
            if str(info.get("codebase_version")).removeprefix("v").startswith("3") and recorded_path not in (
                None,
                required_path,
            ):
                yield f"{key} of {name} is {recorded_path}: LeRobot merges only datasets with {required_path}"


def _describe_difference(
    subject: str, base_name: str, base_value: Any, name: str, other_value: Any, remedy: str = ""
) -> Problem:
    difference = f"{_shorten_value(base_value)} in {base_name}, and {_shorten_value(other_value)} in {name}"
    problem = f"{subject}: {difference}; LeRobot merges only datasets that agree"
    return make_data_problem(problem, remedy)


def _compare_features(
    first: str, base: DatasetFeatures, name: str, other: DatasetFeatures, *, with_remedies: bool
) -> Iterator[Problem | str]:
    for feature in sorted(base.keys() ^ other.keys()):
        dataset_with, dataset_without = (first, name) if feature in base else (name, first)
        problem = (
            f"{feature} is recorded in {dataset_with} but not in {dataset_without}; LeRobot merges only "
            "datasets that agree"
        )
        edit = f"remove_feature --operation.feature_names \"['{feature}']\""
        yield make_data_problem(problem, _make_edit_command(dataset_with, edit) if with_remedies else "")
    for feature in base:
        if feature in other:
            yield from _compare_feature(feature, first, base[feature], name, other[feature])


def _compare_feature(
    feature: str, base_name: str, base: Mapping[str, Any], name: str, other_feature: Mapping[str, Any]
) -> Iterator[Problem | str]:
    if base.get("dtype") != other_feature.get("dtype"):
        image_dataset = {"image": base_name, "video": name}.get(str(base.get("dtype")), "")
        image_and_video = {base.get("dtype"), other_feature.get("dtype")} == {"image", "video"}
        remedy = _make_edit_command(image_dataset, "convert_image_to_video") if image_and_video else ""
        yield _describe_difference(
            f"the type of {feature}", base_name, base.get("dtype"), name, other_feature.get("dtype"), remedy
        )
    for key in sorted((base.keys() | other_feature.keys()) - {"dtype", "info"}):
        if base.get(key) != other_feature.get(key):
            yield _describe_difference(f"{key} of {feature}", base_name, base.get(key), name, other_feature.get(key))
    base_info = base.get("info") or {}
    other_info = other_feature.get("info") or {}
    for key in sorted((base_info.keys() & other_info.keys()) - ENCODER_KEYS):
        if base_info[key] != other_info[key]:
            is_encoding = key in ("video.codec", "video.pix_fmt")
            remedy = _make_edit_command(name, "reencode_videos") if is_encoding else ""
            yield _describe_difference(f"{key} of {feature}", base_name, base_info[key], name, other_info[key], remedy)


def _make_edit_command(name: str, operation: str) -> str:
    root = shlex.quote(name) if name.startswith("/") else "FOLDER"
    copy_options = f"--root {root} --repo_id NAME --new_root NEW_FOLDER --new_repo_id NEW_NAME"
    return f"lerobot-edit-dataset {copy_options} --operation.type {operation}"


def _shorten_value(value: Any) -> str:
    value_text = value if isinstance(value, str) else json.dumps(value)
    return value_text if len(value_text) <= 120 else f"{value_text[:117]}..."
