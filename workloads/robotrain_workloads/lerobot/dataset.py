"""LeRobot datasets: description, problems in files, frame tolerance, and tasks of episodes.

LeRobot takes the nearest frame and rejects one that is more than 0.1 ms away. Timestamps of merged videos drift by a
third of a microsecond an episode, so after some hundred episodes LeRobot would reject its own files. The nearest frame
can only be the wrong one from half the frame interval on: a quarter of the interval is always safe.
"""

import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.problem import Problem, Problems, Suggestion, make_data_problem

from robotrain_workloads.lerobot import file_formats

INFO_FILE = Path("meta", "info.json")
SIZES_FILE = Path("meta", "robotrain.json")
"""In a merged dataset: how much each of its sources has."""
DATASET_VERSION = "v3.0"
READABLE_VERSIONS = re.compile(r"v?3(?:\.\d+)*")
CONVERTIBLE_VERSION = re.compile(r"v?2\.1")
OLD_VERSIONS = re.compile(r"v?[012](?:\.\d+)*")
CONVERT_FLAG = "--convert-v21"
RECOMPUTING = "lerobot-edit-dataset --operation.type recompute_stats"
"""LeRobot's command that computes the statistics of a dataset."""
COUNTED_KEYS = ("total_episodes", "total_frames", "total_tasks", "fps")
NEEDED_KEYS = ("codebase_version", *COUNTED_KEYS, "features")
STATISTICS_FILE = "meta/stats.json"
FILES = ("meta/tasks.parquet", "meta/episodes/*/*.parquet", "data/*/*.parquet")  # as LeRobot looks for them
FILES_V21 = ("meta/tasks.jsonl", "meta/episodes.jsonl", "meta/episodes_stats.jsonl", "data/*/*.parquet")
MOST_CHECKED = 200  # files of a kind, to stay fast
VIDEO_FILES = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
VIDEO_FILES_V21 = "videos/*/{video_key}/*.mp4"
PATH_TEMPLATES = ("data_path", "video_path")
TEMPLATE = re.compile(
    r"(?:[^{}]|\{(?:chunk_index|file_index|video_key|episode_chunk|episode_index)(?::0?\d{1,2}d)?\}){1,500}"
)
LARGEST_NUMBERS = {
    **dict.fromkeys(COUNTED_KEYS, 10**10),
    **dict.fromkeys(("chunks_size", "data_files_size_in_mb", "video_files_size_in_mb"), 10**7),
}
"""What the description may say at most: also of files in a folder, and of megabytes in a file."""
MOST_FEATURES = 1000
NUMERIC_TYPES = re.compile(r"float(?:16|32|64)?|double|u?int(?:8|16|32|64)|bool_?")
"""Names that the library `datasets` takes: its aliases too."""
CAMERA_TYPES = ("image", "video")
OTHER_TYPES = (*CAMERA_TYPES, "string", "large_string", "language")
"""The types of features that LeRobot reads beside numbers."""
MOST_CHANNELS = 4
LARGEST_SAMPLE = 10**9
"""The most values of a feature in one frame."""
LARGEST_FLOAT = 3.4e38
"""Of 32 bits, in which policies compute."""
STATISTICS = ("mean", "std", "min", "max")
"""Statistics that values are normalized with."""


def find_dataset_problems(
    folder: Path, name: str = "", *, convert: bool = False, description_only: bool = False
) -> Problems:
    """Yield one sentence a problem.

    `name` is what the user calls the dataset; `convert` says that it will be converted from v2.1; with
    `description_only`, the other files are not here.
    """
    name = name or str(folder)
    if not folder.is_dir():
        yield f"{name} is not a folder"
        return
    try:
        info = load_dataset_info(folder, name)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    if problem := _explain_unreadable(info, name, convert):
        yield problem
        return
    yield from _find_number_problems(info, name)
    yield from _find_shape_problems(info, name)
    templates = list(_find_template_problems(info, name))
    yield from templates
    if not description_only and not templates:
        yield from _find_incomplete_files(folder, info, name)
    if not templates:
        yield from _find_statistics_problems(folder, info)


def find_unsafe_links(folder: Path, name: str) -> Problems:
    """Yield a sentence for the first link that leaves the folder: what it points to is not part of the dataset.

    Links of a Hugging Face cache, from `snapshots/REVISION` to `blobs`, are part of it.
    """
    real_folder = folder.resolve()
    allowed_folders = (real_folder, real_folder.parent.parent / "blobs")
    for path in sorted(folder.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if is_hidden or not path.is_symlink():
            continue
        if not any(map(Path(os.path.realpath(path)).is_relative_to, allowed_folders)):
            yield make_data_problem(
                f"{name} has a link to a place outside of it: {path}",
                Suggestion(f"cp -rL {folder} COPY", "then use the copy"),
            )
            return


def load_dataset_info(folder: Path, name: str = "") -> dict[str, Any]:
    """Return the dataset's description. Raise OSError or ValueError with a sentence."""
    path = folder / INFO_FILE
    if path.is_file():
        return file_formats.read_json_object(path)
    nested_datasets = sorted(path.parents[1] for path in folder.glob(f"*/{INFO_FILE}"))  # users name the parent folder
    hint = f" (but {nested_datasets[0]} has)" if nested_datasets else ""
    raise FileNotFoundError(f"{name or folder} is not a LeRobot dataset: it has no {INFO_FILE}{hint}")


def is_convertible(info: Mapping[str, Any]) -> bool:
    """Return whether the dataset has the version that can be converted, v2.1."""
    return CONVERTIBLE_VERSION.fullmatch(str(info.get("codebase_version"))) is not None


def get_features(info: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the features with a valid description, by name."""
    features = info.get("features")
    feature_items = features.items() if isinstance(features, dict) else ()
    return {name: feature for name, feature in feature_items if isinstance(feature, dict)}


def list_cameras(info: Mapping[str, Any]) -> list[str]:
    """Return the names of features that are images or videos."""
    return [name for name, feature in get_features(info).items() if feature.get("dtype") in CAMERA_TYPES]


def is_depth(feature: Mapping[str, Any]) -> bool:
    """Return whether a camera records distances."""
    video_info = {**(feature.get("video_info") or {}), **(feature.get("info") or {})}
    return bool(video_info.get("is_depth_map") or video_info.get("video.is_depth_map"))


def has_video(info: Mapping[str, Any]) -> bool:
    """Return whether a camera was recorded as video."""
    return any(feature.get("dtype") == "video" for feature in get_features(info).values())


def _explain_unreadable(info: Mapping[str, Any], name: str, convert: bool) -> Problem | str:
    """Return why nothing else of the dataset can be checked; empty when it can."""
    version = info.get("codebase_version")
    if version is not None and not READABLE_VERSIONS.fullmatch(str(version)) and not (convert and is_convertible(info)):
        if not OLD_VERSIONS.fullmatch(str(version)):
            return f"{name} has codebase_version {version!r}, and the trainer reads {DATASET_VERSION}"
        problem = f"{name} is a LeRobot {version} dataset, and the trainer reads {DATASET_VERSION}"
        if is_convertible(info):
            return make_data_problem(problem, CONVERT_FLAG)
        return f"{problem}: only v2.1 is converted; convert it to v2.1 with an older LeRobot first"
    if missing_keys := [key for key in NEEDED_KEYS if key not in info]:
        return f"{INFO_FILE} of {name} lacks {', '.join(missing_keys)}: it does not describe a LeRobot dataset"
    return ""


def _find_number_problems(info: Mapping[str, Any], name: str) -> Iterator[str]:
    for key, largest in LARGEST_NUMBERS.items():
        value = info.get(key, 1)
        is_possible = type(value) in (int, float) and 0 < value <= largest
        if not is_possible or (key.startswith("total_") and value != int(value)):
            yield f"{INFO_FILE} of {name} says {key} {value!r:.40}: this is no possible number"
    if not isinstance(info["features"], dict) or "action" not in info["features"]:
        yield f"{name} has no feature `action`, which a policy learns"


def _find_shape_problems(info: Mapping[str, Any], name: str) -> Iterator[str]:
    features = get_features(info)
    if len(features) > MOST_FEATURES:
        yield f"{name} has {len(features):,} features: at most {MOST_FEATURES:,} are read"
        return
    for feature, description in features.items():
        shape = description.get("shape", [])
        kind = description.get("dtype", "float32")
        if kind not in OTHER_TYPES and not NUMERIC_TYPES.fullmatch(str(kind)):
            yield f"{INFO_FILE} of {name}: {feature} has the dtype {str(kind)[:40]!r}, which LeRobot does not read"
        if "/" in feature or feature in (".", ".."):
            yield f"{INFO_FILE} of {name} has the feature {feature!r}: a name must not contain `/`"
        elif not isinstance(shape, list) or not all(type(length) is int and length > 0 for length in shape):
            yield f"{INFO_FILE} of {name}: the shape of {feature} must be a list of positive whole numbers"
        elif math.prod(shape) > LARGEST_SAMPLE:
            yield f"{INFO_FILE} of {name}: the shape of {feature} has more than {LARGEST_SAMPLE:,} values a frame"
        elif kind in CAMERA_TYPES and shape:
            names = description.get("names")
            if len(shape) != 3:
                yield f"{INFO_FILE} of {name}: {feature} has the shape {shape}, and pictures have three dimensions"
            elif not isinstance(names, list) or len(names) < 3:
                yield f"{INFO_FILE} of {name}: {feature} does not name its dimensions: height, width, channels"


def _find_template_problems(info: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield a sentence for each path of files that leaves the dataset, or that is more than names and numbers."""
    for key in PATH_TEMPLATES:
        if (template := info.get(key)) is None:
            continue
        sentence_start = f"{INFO_FILE} of {name} has the {key} {str(template)[:200]!r}"
        if not isinstance(template, str) or not TEMPLATE.fullmatch(template):
            yield f"{sentence_start}: this is not a path with fields like {{chunk_index:03d}}"
        elif template.startswith("/") or ".." in Path(template).parts or "\0" in template:
            yield f"{sentence_start}: it is outside the dataset"


def _find_statistics_problems(folder: Path, info: Mapping[str, Any]) -> Iterator[str]:
    path = folder / STATISTICS_FILE
    try:
        statistics = file_formats.read_json_object(path) if path.is_file() else {}
    except (OSError, ValueError) as error:
        yield str(error)
        return
    for feature, description in get_features(info).items():
        feature_statistics = statistics.get(feature)
        if not feature.startswith(("observation", "action")) or not isinstance(feature_statistics, dict):
            continue
        if problem := _explain_statistics(feature_statistics, description):
            yield f"{path}: {problem.replace('{}', feature)}: its values cannot be normalized"


def _explain_statistics(feature_statistics: Mapping[str, Any], description: Mapping[str, Any]) -> str:
    """Return what of a feature's statistics cannot be right, with `{}` for the feature; empty if nothing is."""
    numbers_by_statistic = {key: [*_flatten(feature_statistics.get(key, []))] for key in STATISTICS}
    shape, is_camera = description.get("shape"), description.get("dtype") in CAMERA_TYPES
    is_sized = isinstance(shape, list) and all(type(length) is int for length in shape) and not is_camera
    size = math.prod(shape or ()) if is_sized else None
    for key, numbers in numbers_by_statistic.items():
        if not all(isinstance(number, int | float) and abs(number) <= LARGEST_FLOAT for number in numbers):
            return f"{key} of {{}} must be finite numbers"
        if key in feature_statistics and is_camera and not 1 <= len(numbers) <= MOST_CHANNELS:
            return f"{key} of {{}} must have a number a channel"
        if key in feature_statistics and size not in (None, len(numbers)):
            return f"{key} of {{}} has {len(numbers)} values, and {INFO_FILE} says {size}"
    if min(numbers_by_statistic["std"], default=0) < 0:
        return "std of {} is negative"
    pairs = zip(numbers_by_statistic["min"], numbers_by_statistic["max"], strict=False)
    return "min of {} is larger than max" if any(least > most for least, most in pairs) else ""


def _flatten(nested_values: Any) -> Iterator[Any]:
    waiting_values = [nested_values]
    while waiting_values:
        value = waiting_values.pop()
        if isinstance(value, list):
            waiting_values += reversed(value)
        else:
            yield value


def _find_incomplete_files(folder: Path, info: Mapping[str, Any], name: str) -> Iterator[str]:
    is_old = is_convertible(info)
    files = FILES_V21 if is_old else FILES
    if not is_old and not (folder / STATISTICS_FILE).is_file():
        yield f"{name} has no {STATISTICS_FILE}: its values cannot be normalized; `{RECOMPUTING}` makes it"
    if missing_patterns := [
        pattern for pattern in (*files, *_list_video_patterns(info, is_old)) if not any(folder.glob(pattern))
    ]:
        yield f"{name} is incomplete: there is no {', no '.join(missing_patterns)}"
    tables = [pattern for pattern in files if pattern.endswith(".parquet")]
    for patterns, file_suffix in ((tables, ".parquet"), (_list_video_patterns(info, is_old), ".mp4")):
        for path in (path for pattern in patterns for path in sorted(folder.glob(pattern))[:MOST_CHECKED]):
            if path.suffix == file_suffix and (damage := file_formats.explain_damage(path)):
                yield f"{path} {damage}"
                break


def _list_video_patterns(info: Mapping[str, Any], is_old: bool) -> Iterator[str]:
    """Yield where the videos of each camera lie by the dataset's own template, or in the fixed places of v2.1."""
    template = info.get("video_path")
    template = VIDEO_FILES_V21 if is_old else template if isinstance(template, str) and template else VIDEO_FILES
    for camera in [name for name, feature in get_features(info).items() if feature.get("dtype") == "video"]:
        pattern = template.replace("{video_key}", camera) if re.fullmatch(r"\w[\w.-]*", camera) else template
        yield re.sub(r"\{[^}]*\}", "*", pattern)


def compute_frame_tolerance(folder: Path) -> float | None:
    """Return the tolerance in seconds; None for a dataset without videos, or without a description."""
    with suppress(OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return get_frame_tolerance(load_dataset_info(folder))
    return None


def get_frame_tolerance(info: Mapping[str, Any]) -> float | None:
    """Return the tolerance in seconds; None for a dataset without videos."""
    return 0.25 / float(info["fps"]) if has_video(info) else None


def find_emptied_tasks(episodes: Mapping[str, int], held_out_part: float) -> list[str]:
    """Return the tasks that keep no episode when `held_out_part` of each is held out."""
    return [task for task, count in episodes.items() if count - math.ceil(count * held_out_part) <= 0]


def count_episodes_by_task(root: Path, chosen_episodes: Collection[int] | None = None) -> dict[str, int]:
    """Return the number of episodes of each task, counted by an episode's first task, as LeRobot does."""
    episodes_among = None if chosen_episodes is None else {*chosen_episodes}
    return dict(
        Counter(task for episode, task in read_first_tasks(root) if episodes_among is None or episode in episodes_among)
    )


def read_first_tasks(root: Path) -> Iterator[tuple[int, str]]:
    """Yield each episode's number and first task, in order. Needs pyarrow."""
    for episode, tasks in read_episodes(root, "tasks"):
        yield int(episode), tasks[0] if tasks else ""


def read_episodes(root: Path, column: str) -> Iterator[tuple[int, Any]]:
    """Yield each episode's number and value in a column of their metadata. Needs pyarrow."""
    from pyarrow.parquet import read_table

    for file in sorted((root / "meta" / "episodes").glob("*/*.parquet")):
        table = read_table(file, columns=["episode_index", column]).to_pydict()
        yield from zip(table["episode_index"], table[column], strict=True)


def select_last_episodes(
    episodes: Iterable[tuple[int, str]], held_out_part: float, episodes_among: Collection[int] | None = None
) -> list[int]:
    """Return the last `held_out_part` of each task's episodes, rounded up, as LeRobot holds them out.

    `episodes` holds each episode's number and task; `episodes_among` restricts the choice, and has an order of its own.
    """
    tasks = defaultdict[str, list[int]](list)
    tasks_by_episode = dict(episodes)
    for number in tasks_by_episode if episodes_among is None else episodes_among:
        if number in tasks_by_episode:
            tasks[tasks_by_episode[number]].append(number)
    return sorted(
        number
        for numbers in tasks.values()
        for number in numbers[len(numbers) - math.ceil(len(numbers) * held_out_part) :]
    )
