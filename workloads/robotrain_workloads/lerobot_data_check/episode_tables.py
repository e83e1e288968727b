"""The episodes of a dataset as its metadata has them: all there, once, in order, and as many frames as info.json says.

Those of v2.1 are lines of JSON, each with its own files of data and of cameras: they are read as those of v3.0.
"""

import importlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.table_files import (
    DATA_FILES,
    EPISODE_FILES,
    TASK_FILE,
    Columns,
    UnreadableTable,
    find_wrong,
    read_columns,
    read_small,
)

RANGE_COLUMNS = ("episode_index", "length", "dataset_from_index", "dataset_to_index")
VIDEO_COLUMNS = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
EPISODES_V21, TASKS_V21 = "meta/episodes.jsonl", "meta/tasks.jsonl"
DATA_PATH_V21 = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO_PATH_V21 = "videos/chunk-{chunk_index:03d}/{video_key}/episode_{file_index:06d}.mp4"
FOLDER_FILES = 1000
"""Files of v2.1 in a folder, if info.json does not say it."""


@dataclass
class EpisodeTables:
    """The columns of all episodes, where the frames of each begin and end by their lengths, and the tasks' numbers."""

    columns: Columns
    tasks: Any
    video_path: str
    where: str

    def __post_init__(self) -> None:
        np: Any = importlib.import_module("numpy")
        self.ends = np.cumsum(self.columns["length"])
        self.starts = self.ends - self.columns["length"]


def read_episodes(files: DatasetFiles, info: Mapping[str, Any]) -> EpisodeTables:
    """Read the metadata of the episodes. Raise UnreadableTable, OSError."""
    videos = [name for name, feature in dataset.get_features(info).items() if feature.get("dtype") == "video"]
    if dataset.is_convertible(info):
        return _read_old_episodes(files, info, videos)
    wanted = [*RANGE_COLUMNS, *(f"videos/{name}/{column}" for name in videos for column in VIDEO_COLUMNS)]
    columns = read_columns(files, files.list_files(EPISODE_FILES), wanted)
    tasks = read_columns(files, [TASK_FILE], ["task_index"])["task_index"]
    return EpisodeTables(columns, tasks, info.get("video_path") or dataset.VIDEO_FILES, "meta/episodes")


def _read_old_episodes(files: DatasetFiles, info: Mapping[str, Any], videos: Sequence[str]) -> EpisodeTables:
    np: Any = importlib.import_module("numpy")
    numbers, lengths = _read_lines(files, EPISODES_V21, ("episode_index", "length"))
    template = info.get("data_path") or DATA_PATH_V21
    size = int(info.get("chunks_size") or FOLDER_FILES)
    stored = {*files.list_files(DATA_FILES)}
    paths = {
        number: str(template).format(episode_chunk=number // size, episode_index=number) for number in numbers.tolist()
    }
    if missing := [number for number, path in paths.items() if path not in stored]:
        text = f"{paths[missing[0]]}, the frames of episode {missing[0]}, does not exist"
        raise UnreadableTable(make_data_finding("file-missing", text, missing))
    ends = np.cumsum(lengths)
    seconds = lengths / float(info["fps"])
    places = (numbers // size, numbers, np.zeros(len(numbers)), seconds)
    columns = dict(zip(RANGE_COLUMNS, (numbers, lengths, ends - lengths, ends), strict=True))
    columns |= {
        f"videos/{name}/{key}": column for name in videos for key, column in zip(VIDEO_COLUMNS, places, strict=True)
    }
    return EpisodeTables(columns, _read_lines(files, TASKS_V21, ("task_index",))[0], VIDEO_PATH_V21, EPISODES_V21)


def _read_lines(files: DatasetFiles, path: str, keys: Sequence[str]) -> Any:
    """Return the whole numbers by the keys in the objects of a file's lines, by key. Raise UnreadableTable."""
    np: Any = importlib.import_module("numpy")
    rows = []
    for number, line in enumerate(io.BytesIO(read_small(files, path)), 1):
        try:
            value = json.loads(line)
            rows.append([int(value[key]) for key in keys])
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            text = f"line {number} of {path} is no JSON object with {' and '.join(keys)}, as each line must be"
            raise UnreadableTable(make_data_finding("file-unreadable", text)) from error
    return np.array(rows, int).reshape(-1, len(keys)).T


def find_episode_problems(info: Mapping[str, Any], episodes: EpisodeTables) -> Iterator[DataFinding]:
    """Yield how the episodes are not all there, once and in order."""
    np = importlib.import_module("numpy")
    columns = episodes.columns
    where = episodes.where
    numbers = columns["episode_index"]
    count = len(columns["length"])
    frames = int(columns["length"].sum())
    if wrong := find_wrong(numbers != np.arange(count)):
        text = f"{where} has episode {numbers[wrong[0]]} where episode {wrong[0]} belongs"
        yield make_data_finding("episodes-disagree", text, wrong)
    if wrong := find_wrong(columns["length"] <= 0):
        yield make_data_finding("episodes-disagree", f"episode {wrong[0]} has no frames by {where}", wrong)
    for key, counted in (("total_episodes", count), ("total_frames", frames)):
        if info[key] != counted:
            text = f"{dataset.INFO_FILE} says {key} {info[key]}, and {where} has {counted}"
            yield make_data_finding("counts-disagree", text)
    begins, stops = columns["dataset_from_index"], columns["dataset_to_index"]
    if wrong := find_wrong((begins != episodes.starts) | (stops != episodes.ends)):
        said = f"episode {wrong[0]} has the frames {begins[wrong[0]]} to {stops[wrong[0]]} by {where}"
        right = f"{episodes.starts[wrong[0]]} to {episodes.ends[wrong[0]]}"
        text = f"{said}, and the lengths before it put it at {right}"
        yield make_data_finding("episodes-disagree", text, wrong)
