"""The datasets of a job: problems of each, conflicts between them, and what is made of them before the work.

LeRobot merges datasets whose features are told in the same words, down to what does not matter: its converter from v2.1
adds a frame rate to each, and each of its versions says something else about a video. What all say is kept.
"""

import copy
import hashlib
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.container_plugin import DataPreparation
from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.lerobot import dataset, file_formats
from robotrain_workloads.lerobot.versions import LEROBOT_VERSION

DESCRIPTION_FILES = {"dataset": (dataset.INFO_FILE.as_posix(),)}


def find_described_problems(document: JobDocument, described: Mapping[JobSource, Path]) -> Iterator[str]:
    """One sentence for each thing that descriptions alone tell. described: the folder that holds that of each."""

    def find_problems(folder: Path, name: str) -> Iterator[str]:
        try:
            found = dataset.load_dataset_info(folder, name)
        except (OSError, ValueError) as error:
            yield str(error)
            return
        yield from dataset.find_description_problems(found, name, convert=should_convert(document))

    yield from _check_datasets(document, described, find_problems)


def find_data_problems(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """One sentence for each thing that small files tell. data: the folder of each."""
    yield from _check_datasets(
        document,
        data,
        lambda folder, name: dataset.find_dataset_problems(folder, name, convert=should_convert(document)),
    )


def _check_datasets(
    document: JobDocument, folders: Mapping[JobSource, Path], judge: Callable[[Path, str], Iterator[str]]
) -> Iterator[str]:
    good = []
    for source in dict.fromkeys(list_datasets(document, folders)):
        said = list(judge(folders[source], source.uri))
        yield from said
        if not said:
            good.append((source.uri, dataset.load_dataset_info(folders[source])))
    yield from find_merge_conflicts(good)


def should_convert(document: JobDocument) -> bool:
    """Whether datasets of v2.1 are to be converted."""
    return document.parameters["convert_v21"] is True


def list_datasets(document: JobDocument, data: Mapping[JobSource, Path]) -> list[JobSource]:
    """Those that are there, in the order they were given: one given twice counts twice."""
    return [source for source in document.sources if source.role == "dataset" and source in data]


MERGE_PROGRAM = "robotrain_workloads.lerobot.dataset_merge"
MERGE_FORMAT = 1
"""Counts up when something else would be made of the same data."""
MERGE_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TQDM_DISABLE": "1",
    "NO_COLOR": "1",
}


def plan_preparation(
    document: JobDocument, data: Mapping[JobSource, Path], digests: Mapping[JobSource, str]
) -> DataPreparation | None:
    """The program that makes it; None when the one dataset is trained on as it is. Raises OSError, ValueError."""
    sources = list_datasets(document, data)
    infos = [dataset.load_dataset_info(data[source], source.uri) for source in sources]
    if len(sources) < 2 and not any(dataset.is_convertible(found) or find_boolean_features(found) for found in infos):
        return None
    return DataPreparation(
        sources=tuple(dict.fromkeys(sources)),
        key=_make_cache_key([digests.get(source, "") for source in sources]),
        arguments=(
            *("-m", MERGE_PROGRAM, f"--cache={document.placement.cache}"),
            *(part for source in sources for part in ("--dataset", str(data[source]), source.uri)),
        ),
        environ=MERGE_ENVIRONMENT,
    )


def _make_cache_key(digests: list[str]) -> str:
    """Empty when the data of one is not known."""
    if not all(digests):
        return ""
    return hashlib.sha256(json.dumps([MERGE_FORMAT, LEROBOT_VERSION, digests]).encode()).hexdigest()


DatasetFeatures = dict[str, dict[str, Any]]

ENCODER_KEYS = {f"video.{name}" for name in ("g", "crf", "preset", "fast_decode", "extra_options", "video_backend")}
"""How a video was encoded: LeRobot merges what differs in these."""
LEGACY_KEYS = {"video.is_depth_map": "is_depth_map"}


def normalize_features(info: Mapping[str, Any]) -> DatasetFeatures:
    """Those of one dataset, from its description."""
    described = info.get("features")
    made = copy.deepcopy(described) if isinstance(described, dict) else {}
    for name in find_boolean_features(info):
        made[name]["dtype"] = "float32"
    return {name: _simplify_feature(one) for name, one in made.items() if isinstance(one, dict)}


def find_boolean_features(info: Mapping[str, Any]) -> list[str]:
    """The truth values that a policy would read or learn. LeRobot normalises those, and cannot subtract truths."""
    described = info.get("features")
    of = described.items() if isinstance(described, dict) else ()
    return [
        name
        for name, one in of
        if name.startswith(("observation", "action")) and isinstance(one, dict) and one.get("dtype") == "bool"
    ]


def unify_video_info(sets: Sequence[DatasetFeatures]) -> list[DatasetFeatures]:
    """The same, where each says of a video only what all say of it."""
    found = copy.deepcopy(list(sets))
    for name in {name for one in found for name, feature in one.items() if "info" in feature}:
        told = [feature.get("info", {}) for one in found if (feature := one.get(name)) is not None]
        said = set.intersection(*map(set, told)) | ENCODER_KEYS
        for one in found:
            if name in one:
                info = one[name].get("info", {})
                one[name]["info"] = {key: value for key, value in info.items() if key in said}
    return found


def _simplify_feature(feature: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in feature.items() if name not in ("fps", "video_info")}
    info = feature.get("info") or feature.get("video_info")
    if not isinstance(info, dict):
        kept.pop("info", None)
        return kept
    return {**kept, "info": {LEGACY_KEYS.get(name, name): value for name, value in info.items()}}


SIZES_FILE = Path("meta", "robotrain.json")


def write_source_sizes(folder: Path, each: Sequence[tuple[int, int]]) -> None:
    """each: episodes and frames, in order."""
    made_of = [{"episodes": episodes, "frames": frames} for episodes, frames in each]
    (folder / SIZES_FILE).write_text(json.dumps({"made_of": made_of}, indent=1) + "\n", encoding="utf-8")


def read_source_size(folder: Path, index: int, count: int) -> tuple[int, int] | None:
    """Episodes and frames of the one at place `at`, of `count` that `folder` was made of; None when nobody knows."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if count > 1:
            made_of = file_formats.read_json_object(folder / SIZES_FILE)["made_of"]
            return (int(made_of[index]["episodes"]), int(made_of[index]["frames"])) if len(made_of) == count else None
        found = dataset.load_dataset_info(folder)
        return int(found["total_episodes"]), int(found["total_frames"])
    return None


MERGED_PATHS = {
    "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
}
"""Where LeRobot looks for what it merges, whatever a dataset of v3 says."""


def find_merge_conflicts(sets: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    """One sentence for each, the way out on a second line where there is one. sets: the name and the description of
    each, none of which is wrong by itself.
    """
    if len(sets) < 2:
        return
    (first, base), *others = sets
    for name, found in others:
        unlike = [key for key in ("fps", "robot_type") if base.get(key) != found.get(key)]
        yield from (_describe_difference(key, first, base.get(key), name, found.get(key)) for key in unlike)
        yield from _compare_features(
            first, normalize_features(base), name, normalize_features(found), worth_mending=not unlike
        )
    for name, found in sets:
        yield from _find_other_paths(name, found)


def _describe_difference(subject: str, first: str, value: Any, name: str, other_value: Any, remedy: str = "") -> str:
    told = f"{subject}: {_shorten_value(value)} in {first}, and {_shorten_value(other_value)} in {name}; LeRobot merges only what agrees"
    return f"{told}\n{remedy}" if remedy else told


def _compare_features(
    first: str, base: DatasetFeatures, name: str, other: DatasetFeatures, *, worth_mending: bool
) -> Iterator[str]:
    for feature in sorted(base.keys() ^ other.keys()):
        has, lacks = (first, name) if feature in base else (name, first)
        told = f"{feature} is recorded in {has}, and not in {lacks}; LeRobot merges only what agrees"
        way = f"{_make_edit_command(has)} --operation.type remove_feature --operation.feature_names \"['{feature}']\""
        yield f"{told}\n{way}" if worth_mending else told
    for feature in base:
        if feature in other:
            yield from _compare_feature(feature, first, base[feature], name, other[feature])


def _compare_feature(
    feature: str, first: str, base: Mapping[str, Any], name: str, other_feature: Mapping[str, Any]
) -> Iterator[str]:
    if base.get("dtype") != other_feature.get("dtype"):
        stills = {"image": first, "video": name}.get(str(base.get("dtype")), "")
        both = {base.get("dtype"), other_feature.get("dtype")} == {"image", "video"}
        way = f"{_make_edit_command(stills)} --operation.type convert_image_to_video" if both else ""
        yield _describe_difference(
            f"the type of {feature}", first, base.get("dtype"), name, other_feature.get("dtype"), way
        )
    for key in sorted((base.keys() | other_feature.keys()) - {"dtype", "info"}):
        if base.get(key) != other_feature.get(key):
            yield _describe_difference(f"{key} of {feature}", first, base.get(key), name, other_feature.get(key))
    one, other = base.get("info") or {}, other_feature.get("info") or {}
    for key in sorted((one.keys() & other.keys()) - ENCODER_KEYS):
        if one[key] != other[key]:
            way = (
                f"{_make_edit_command(name)} --operation.type reencode_videos"
                if key in ("video.codec", "video.pix_fmt")
                else ""
            )
            yield _describe_difference(f"{key} of {feature}", first, one[key], name, other[key], way)


def _find_other_paths(name: str, info: Mapping[str, Any]) -> Iterator[str]:
    for key, usual in MERGED_PATHS.items():
        said = info.get(key)
        if str(info.get("codebase_version")).removeprefix("v").startswith("3") and said not in (None, usual):
            yield f"{key} of {name} is {said}: LeRobot merges only datasets that keep their files at {usual}"


def _make_edit_command(name: str) -> str:
    """The beginning of the command that makes another dataset of one."""
    root = shlex.quote(name) if name.startswith("/") else "FOLDER"
    return f"lerobot-edit-dataset --root {root} --repo_id NAME --new_root NEW_FOLDER --new_repo_id NEW_NAME"


def _shorten_value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
