"""A LeRobot dataset: its description, problems in its files, frame tolerance, and tasks of its episodes.

LeRobot takes the nearest frame and refuses one that is more than 0.1 ms away. What it puts together itself drifts by a
third of a microsecond an episode: some hundred episodes in one file, and it refuses its own. Half of the time between
two frames is where the nearest one could be the wrong one: half of that is always right.
"""

import importlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot import file_formats
from robotrain_workloads.lerobot.file_formats import is_complete_parquet

INFO_FILE = Path("meta", "info.json")
DATASET_VERSION = "v3.0"
READABLE_VERSIONS = re.compile(r"v?3(?:\.\d+)*")
CONVERTIBLE_VERSION = re.compile(r"v?2\.1")
OLD_VERSIONS = re.compile(r"v?[012](?:\.\d+)*")
CONVERT_FLAG = "--convert-v21"
COUNTED_KEYS = ("total_episodes", "total_frames", "total_tasks", "fps")
NEEDED_KEYS = ("codebase_version", *COUNTED_KEYS, "features")
STATISTICS_FILE = "meta/stats.json"
FILES = ("meta/tasks.parquet", "meta/episodes/*/*.parquet", "data/*/*.parquet")  # as LeRobot looks for them
FILES_V21 = ("meta/tasks.jsonl", "meta/episodes.jsonl", "meta/episodes_stats.jsonl", "data/*/*.parquet")
MOST_CHECKED = 200  # files of a kind that are looked into: this must stay quick
VIDEO_FILES = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
VIDEO_FILES_V21 = "videos/*/*/*.mp4"


def find_dataset_problems(folder: Path, name: str = "", *, convert: bool = False) -> Iterator[str]:
    """One sentence for each thing wrong. name: what the person calls it. convert: whether it is converted from v2.1."""
    name = name or str(folder)
    if not folder.is_dir():
        yield f"{name} is not a folder"
        return
    try:
        found = load_dataset_info(folder, name)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    if hindrance := _explain_unreadable(found, name, convert):
        yield hindrance
        return
    yield from _find_empty_counts(found, name)
    yield from _find_incomplete_files(folder, found, name)


def find_description_problems(info: Mapping[str, Any], name: str, *, convert: bool = False) -> Iterator[str]:
    """One sentence for each thing that its description alone says is wrong."""
    if hindrance := _explain_unreadable(info, name, convert):
        yield hindrance
    else:
        yield from _find_empty_counts(info, name)


def load_dataset_info(folder: Path, name: str = "") -> dict[str, Any]:
    """The dataset's description. Raises OSError or ValueError with a sentence."""
    path = folder / INFO_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{name or folder} is not a LeRobot dataset: it has no {INFO_FILE}{_hint_nested_dataset(folder)}"
        )
    return file_formats.read_json_object(path)


def is_convertible(info: Mapping[str, Any]) -> bool:
    """Whether it is of the version that can be converted."""
    return CONVERTIBLE_VERSION.fullmatch(str(info.get("codebase_version"))) is not None


def list_cameras(info: Mapping[str, Any]) -> list[str]:
    """The features that are images or videos."""
    return [name for name, kind in _get_feature_types(info).items() if kind in ("image", "video")]


def has_video(info: Mapping[str, Any]) -> bool:
    """Whether some camera was recorded as video."""
    return "video" in _get_feature_types(info).values()


def _hint_nested_dataset(folder: Path) -> str:
    """Where the person may have meant: the folder above is a common slip."""
    near = sorted(path.parents[1] for path in folder.glob(f"*/{INFO_FILE}"))
    return f" (but {near[0]} has)" if near else ""


def _explain_unreadable(info: Mapping[str, Any], name: str, convert: bool) -> str:
    """Why nothing else of it can be judged; empty for no reason."""
    version = info.get("codebase_version")
    if version is not None and not READABLE_VERSIONS.fullmatch(str(version)) and not (convert and is_convertible(info)):
        return _explain_version(name, version)
    if missing := [one for one in NEEDED_KEYS if one not in info]:
        return (
            f"{INFO_FILE} of {name} does not say {', '.join(missing)}: it is not the description of a LeRobot dataset"
        )
    return ""


def _explain_version(name: str, version: object) -> str:
    if CONVERTIBLE_VERSION.fullmatch(str(version)):
        return f"{name} is a LeRobot {version} dataset and the trainer reads {DATASET_VERSION}: have it converted\n{CONVERT_FLAG}"
    if OLD_VERSIONS.fullmatch(str(version)):
        return (
            f"{name} is a LeRobot {version} dataset and the trainer reads {DATASET_VERSION}: what can be converted is v2.1,"
            " which the converter of an older LeRobot makes of it"
        )
    return f"{name} has codebase_version {version!r}, and the trainer reads {DATASET_VERSION}"


def _find_empty_counts(info: Mapping[str, Any], name: str) -> Iterator[str]:
    for count in COUNTED_KEYS:
        if not isinstance(info[count], int | float) or info[count] <= 0:
            yield f"{name} holds no {count.removeprefix('total_')}: {INFO_FILE} says {count} {info[count]!r}"
    if not isinstance(info["features"], dict) or "action" not in info["features"]:
        yield f"{name} records no `action`, which is what a policy learns"


def _find_incomplete_files(folder: Path, info: Mapping[str, Any], name: str) -> Iterator[str]:
    old = is_convertible(info)
    files = FILES_V21 if old else FILES
    if not old and not (folder / STATISTICS_FILE).is_file():
        yield f"{name} has no {STATISTICS_FILE}: its values could not be normalised"
    if missing := [pattern for pattern in (*files, *_list_video_patterns(info, old)) if not any(folder.glob(pattern))]:
        yield f"{name} is incomplete: there is no {', no '.join(missing)}"
    tables = [pattern for pattern in files if pattern.endswith(".parquet")]
    if broken := next(
        (path for pattern in tables for path in _list_first_files(folder, pattern) if not is_complete_parquet(path)),
        None,
    ):
        yield f"{broken} is not a whole Parquet file: it may have been cut short on its way here"
    films = (
        path
        for pattern in _list_video_patterns(info, old)
        for path in _list_first_files(folder, pattern)
        if path.suffix == ".mp4"
    )
    if cut := next((path for path in films if not file_formats.is_complete_mp4(path)), None):
        yield f"{cut} is not a whole MP4 file: it may have been cut short on its way here"


def _list_first_files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))[:MOST_CHECKED]


def _list_video_patterns(info: Mapping[str, Any], old: bool) -> Iterator[str]:
    """Where the videos lie, by the dataset's own template, if it has any; v2.1 is converted by its fixed places."""
    if has_video(info):
        template = info.get("video_path")
        own = re.sub(r"\{[^}]*\}", "*", template if isinstance(template, str) and template else VIDEO_FILES)
        yield VIDEO_FILES_V21 if old else own


def _get_feature_types(info: Mapping[str, Any]) -> dict[str, Any]:
    """The type of each feature."""
    features = info.get("features")
    described = features.items() if isinstance(features, dict) else ()
    return {name: one.get("dtype") for name, one in described if isinstance(one, dict)}


def compute_frame_tolerance(folder: Path) -> float | None:
    """Seconds; None for a dataset without videos."""
    with suppress(OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        found = load_dataset_info(folder)
        return 0.25 / float(found["fps"]) if has_video(found) else None
    return None


def find_emptied_tasks(episodes: Mapping[str, int], part: float) -> list[str]:
    """The tasks that keep no episode when `part` of each is held out."""
    return [task for task, count in episodes.items() if count - math.ceil(count * part) <= 0]


def count_episodes_by_task(root: Path, chosen: Collection[int] | None = None) -> dict[str, int]:
    """How many episodes each task has, counted by an episode's first task, as LeRobot does."""
    return dict(Counter(task for episode, task in read_first_tasks(root) if chosen is None or episode in chosen))


def read_first_tasks(root: Path) -> Iterator[tuple[int, str]]:
    """Each episode's number and its first task, in their order. Needs pyarrow."""
    parquet: Any = importlib.import_module("pyarrow.parquet")
    for file in sorted((root / "meta" / "episodes").glob("*/*.parquet")):
        table = parquet.read_table(file, columns=["episode_index", "tasks"]).to_pydict()
        for episode, tasks in zip(table["episode_index"], table["tasks"], strict=True):
            yield int(episode), tasks[0] if tasks else ""


def select_last_episodes(
    episodes: Iterable[tuple[int, str]], part: float, among: Collection[int] | None = None
) -> list[int]:
    """The last `part` of each task's, rounded up, as LeRobot holds them out. episodes: each with its task."""
    tasks: dict[str, list[int]] = defaultdict(list)
    for number, task in episodes:
        if among is None or number in among:
            tasks[task].append(number)
    return sorted(
        number for numbers in tasks.values() for number in numbers[len(numbers) - math.ceil(len(numbers) * part) :]
    )
