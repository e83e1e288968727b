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
    column_names = [*RANGE_COLUMNS, *(f"videos/{name}/{column}" for name in videos for column in VIDEO_COLUMNS)]
    columns = read_columns(files, files.list_files(EPISODE_FILES), column_names)
    tasks = read_columns(files, [TASK_FILE], ["task_index"])["task_index"]
    return EpisodeTables(columns, tasks, info.get("video_path") or dataset.VIDEO_FILES, "meta/episodes")


def _read_old_episodes(files: DatasetFiles, info: Mapping[str, Any], videos: Sequence[str]) -> EpisodeTables:
    np: Any = importlib.import_module("numpy")
    episode_numbers, lengths = _read_lines(files, EPISODES_V21, ("episode_index", "length"))
    template = info.get("data_path") or DATA_PATH_V21
    size = int(info.get("chunks_size") or FOLDER_FILES)
    stored_files = {*files.list_files(DATA_FILES)}
    paths = {
        number: str(template).format(episode_chunk=number // size, episode_index=number)
        for number in episode_numbers.tolist()
    }
    if missing_episodes := [number for number, path in paths.items() if path not in stored_files]:
        finding_text = f"{paths[missing_episodes[0]]}, the frames of episode {missing_episodes[0]}, does not exist"
        raise UnreadableTable(make_data_finding("file-missing", finding_text, missing_episodes))
    frame_ends = np.cumsum(lengths)
    seconds = lengths / float(info["fps"])
    video_columns = (episode_numbers // size, episode_numbers, np.zeros(len(episode_numbers)), seconds)
    columns = dict(zip(RANGE_COLUMNS, (episode_numbers, lengths, frame_ends - lengths, frame_ends), strict=True))
    columns |= {
        f"videos/{name}/{key}": column
        for name in videos
        for key, column in zip(VIDEO_COLUMNS, video_columns, strict=True)
    }
    return EpisodeTables(columns, _read_lines(files, TASKS_V21, ("task_index",))[0], VIDEO_PATH_V21, EPISODES_V21)


def _read_lines(files: DatasetFiles, path: str, keys: Sequence[str]) -> Any:
    """Return the whole numbers by the keys in the objects of a file's lines, by key. Raise UnreadableTable."""
    np: Any = importlib.import_module("numpy")
    rows = []
    for number, json_line in enumerate(io.BytesIO(read_small(files, path)), 1):
        try:
            json_object = json.loads(json_line)
            rows.append([int(json_object[key]) for key in keys])
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            finding_text = f"line {number} of {path} is no JSON object with {' and '.join(keys)}, as each line must be"
            raise UnreadableTable(make_data_finding("file-unreadable", finding_text)) from error
    return np.array(rows, int).reshape(-1, len(keys)).T


def find_episode_problems(info: Mapping[str, Any], episodes: EpisodeTables) -> Iterator[DataFinding]:
    """Yield how the episodes are not all there, once and in order."""
    np = importlib.import_module("numpy")
    columns = episodes.columns
    metadata_path = episodes.where
    episode_numbers = columns["episode_index"]
    count = len(columns["length"])
    frames = int(columns["length"].sum())
    if wrong_rows := find_wrong(episode_numbers != np.arange(count)):
        finding_text = (
            f"{metadata_path} has episode {episode_numbers[wrong_rows[0]]} where episode {wrong_rows[0]} belongs"
        )
        yield make_data_finding("episodes-disagree", finding_text, wrong_rows)
    if wrong_rows := find_wrong(columns["length"] <= 0):
        yield make_data_finding(
            "episodes-disagree", f"episode {wrong_rows[0]} has no frames by {metadata_path}", wrong_rows
        )
    for key, actual_count in (("total_episodes", count), ("total_frames", frames)):
        if info[key] != actual_count:
            finding_text = f"{dataset.INFO_FILE} says {key} {info[key]}, and {metadata_path} has {actual_count}"
            yield make_data_finding("counts-disagree", finding_text)
    stored_starts, stored_ends = columns["dataset_from_index"], columns["dataset_to_index"]
    if wrong_rows := find_wrong((stored_starts != episodes.starts) | (stored_ends != episodes.ends)):
        stored_text = (
            f"episode {wrong_rows[0]} has the frames {stored_starts[wrong_rows[0]]} to "
            f"{stored_ends[wrong_rows[0]]} by {metadata_path}"
        )
        expected_text = f"{episodes.starts[wrong_rows[0]]} to {episodes.ends[wrong_rows[0]]}"
        finding_text = f"{stored_text}, and the lengths before it put it at {expected_text}"
        yield make_data_finding("episodes-disagree", finding_text, wrong_rows)
