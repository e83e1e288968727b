"""Datasets of a job: problems of each, conflicts between them, and the merged dataset.

LeRobot merges datasets only if their features are described identically, including details without effect: its
converter from v2.1 adds a frame rate to each, and each version describes videos differently. Only the details that all
datasets state are kept.
"""

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.container_plugin import DataPreparation
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.problem import Problem, Problems, Suggestion, make_data_problem

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
EDITS = {
    "presence": "remove_feature",
    "video.codec": "reencode_videos",
    "video.pix_fmt": "reencode_videos",
}
"""By what differs, the operation of LeRobot's that makes it agree."""
MERGED_PATHS = {
    "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
}
"""Where LeRobot looks for the files of datasets that it merges, whatever their description says."""


def find_data_problems(job: LerobotJob) -> Problems:
    """Yield one sentence for each problem that small files, or descriptions alone, show."""
    valid_datasets = []
    for source in dict.fromkeys(job.datasets):
        problems = list(find_source_problems(job, source, description_only=not job.is_complete))
        yield from problems
        if not problems:
            valid_datasets.append((source.uri, dataset.load_dataset_info(job.folders[source])))
    yield from find_merge_conflicts(valid_datasets)


def find_source_problems(job: LerobotJob, source: JobSource, *, description_only: bool) -> Problems:
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
    may_be_bags = takes_bags and source.kind != "local_path"  # of which only what describes it is here
    for problem in problems:
        yield make_data_problem(problem, Suggestion("--bags", "if it holds ROS 2 bags") if may_be_bags else "")


def make_bags_problem(job: LerobotJob, source: JobSource) -> Problem:
    """Return the problem of bags that a job takes for a dataset."""
    return make_data_problem(
        f"{source.uri} holds ROS 2 bags, not a LeRobot dataset",
        Suggestion("--bags", "converts them") if BAGS in job.parameters else "",
    )


def plan_preparation(document: JobDocument, data: Folders, digests: Mapping[JobSource, str]) -> DataPreparation | None:
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


def find_merge_conflicts(sets: Sequence[tuple[str, Mapping[str, Any]]]) -> Problems:
    """Yield each conflict.

    `sets` holds the name and the description of each dataset; each is valid by itself.
    """
    if len(sets) < 2:
        return
    (base_name, base_info), *other_datasets = sets
    for name, info in other_datasets:
        for subject, base_value, value in _list_facts(base_info, info):
            if base_value != value:
                edit = EDITS.get(subject.partition(" of ")[0], "")
                yield make_data_problem(
                    f"{subject}: {_shorten_value(base_value)} in {base_name}, and {_shorten_value(value)} in {name};"
                    " LeRobot merges only datasets that agree",
                    f"lerobot-edit-dataset --operation.type {edit}" if edit else "",
                )
    for name, info in sets:
        for key, required_path in MERGED_PATHS.items():
            recorded_path = info.get(key)
            if str(info.get("codebase_version")).removeprefix("v").startswith("3") and recorded_path not in (
                None,
                required_path,
            ):
                yield f"{key} of {name} is {recorded_path}: LeRobot merges only datasets with {required_path}"


def _list_facts(base_info: Mapping[str, Any], other_info: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield what two datasets must have in common, with the value of each."""
    base, other = normalize_features(base_info), normalize_features(other_info)
    for key in ("fps", "robot_type"):
        yield key, base_info.get(key), other_info.get(key)
    for name in sorted(base.keys() | other.keys()):
        feature, other_feature = base.get(name), other.get(name)
        if feature is None or other_feature is None:
            yield f"presence of {name}", feature is not None, other_feature is not None
            continue
        for key in sorted((feature.keys() | other_feature.keys()) - {"info"}):
            yield f"{key} of {name}", feature.get(key), other_feature.get(key)
        video, other_video = feature.get("info") or {}, other_feature.get("info") or {}
        for key in sorted((video.keys() & other_video.keys()) - ENCODER_KEYS):
            yield f"{key} of {name}", video[key], other_video[key]


def _shorten_value(value: Any) -> str:
    value_text = value if isinstance(value, str) else json.dumps(value)
    return value_text if len(value_text) <= 120 else f"{value_text[:117]}..."
