"""The episodes of a dataset, and in which files each has its frames and its videos.

The comparison of tables, the checks of quality and the page of a dataset read LeRobot v3.0 and v2.1 through this: the
first has many episodes in a file, the second a file for each.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data_check import episode_tables, table_files
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles

DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
PLACES = ("data/chunk_index", "data/file_index")


class VideoPlace(NamedTuple):
    """Where an episode is in a video file, in seconds."""

    path: str
    start: float
    end: float


class EpisodeFiles:
    """The episodes of a dataset whose description is valid."""

    def __init__(self, files: DatasetFiles, info: Mapping[str, Any]) -> None:
        """Raise UnreadableTable, OSError."""
        self._files, self._info, self._is_old = files, info, dataset.is_convertible(info)
        self._tables = episode_tables.read_episodes(files, info)
        self.numbers, self.lengths = self._tables.columns["episode_index"], self._tables.columns["length"]

    @cached_property
    def first_tasks(self) -> Sequence[str]:
        """The first task of each episode, by which LeRobot splits a dataset."""
        if self._is_old:
            tasks = [episode_row.get("tasks") for episode_row in self._read_lines(episode_tables.EPISODES_V21)]
        else:
            paths = self._files.list_files(table_files.EPISODE_FILES)
            tasks = [
                task_texts
                for path in paths
                for task_texts in self._read_table(path, ["tasks"]).column("tasks").to_pylist()
            ]
        return [str(task_texts[0]) if task_texts else "" for task_texts in tasks]

    @cached_property
    def task_texts(self) -> Mapping[int, str]:
        """The text of each task by its number."""
        if self._is_old:
            task_rows = self._read_lines(episode_tables.TASKS_V21)
            return {int(task_row["task_index"]): str(task_row.get("task") or "") for task_row in task_rows}
        table = self._read_table(table_files.TASK_FILE)
        text_columns = [name for name in table.column_names if name != "task_index"]
        texts_read = table.column(text_columns[0]).to_pylist() if text_columns else [""] * table.num_rows
        return dict(
            zip(table.column("task_index").to_pylist(), (str(task_text or "") for task_text in texts_read), strict=True)
        )

    @cached_property
    def _data_paths(self) -> Mapping[int, str]:
        """The file with the frames of each episode by the metadata; empty if that does not say it."""
        if self._is_old:
            template = self._info.get("data_path") or episode_tables.DATA_PATH_V21
            size = self._info.get("chunks_size")
            episode_numbers = self.numbers.tolist()
            size = int(size or episode_tables.FOLDER_FILES)
            return {
                number: str(template).format(episode_chunk=number // size, episode_index=number)
                for number in episode_numbers
            }
        paths = self._files.list_files(table_files.EPISODE_FILES)
        template = self._info.get("data_path") or DATA_PATH
        try:
            columns = table_files.read_columns(self._files, paths, PLACES)
        except table_files.UnreadableTable:
            return {}
        file_places = zip(self.numbers.tolist(), *(columns[name].tolist() for name in PLACES), strict=True)
        return {number: str(template).format(chunk_index=chunk, file_index=file) for number, chunk, file in file_places}

    def list_data_files(self, wanted_episodes: Collection[int] | None = None) -> list[str]:
        """Return the files of data/ that have the wanted episodes, or all if none are wanted or that is unknown."""
        named_files = {self.find_data_file(number) for number in wanted_episodes or ()}
        return (
            sorted(named_files) if named_files and all(named_files) else self._files.list_files(table_files.DATA_FILES)
        )

    def find_data_file(self, episode: int) -> str:
        """Return the file with the frames of an episode by the metadata; empty if that names none that exists."""
        path = self._data_paths.get(episode, "")
        return path if path in self._stored else ""

    @cached_property
    def _stored(self) -> Collection[str]:
        return {*self._files.list_files(table_files.DATA_FILES)}

    @cached_property
    def _rows(self) -> Mapping[int, int]:
        """The row of each episode, the first of several."""
        return {number: row for row, number in reversed([*enumerate(self.numbers.tolist())])}

    def get_length(self, episode: int) -> int:
        """Return the number of frames of an episode."""
        return int(self.lengths[self._rows[episode]])

    def find_video(self, camera: str, episode: int) -> VideoPlace:
        """Return where an episode is in the videos of a camera. Raise ValueError if that is outside of the dataset."""
        if (row := self._rows.get(episode)) is None:
            raise ValueError(f"the dataset has no episode {episode}")
        columns = (self._tables.columns[f"videos/{camera}/{name}"] for name in episode_tables.VIDEO_COLUMNS)
        chunk, file, start, end = (float(column[row]) for column in columns)
        if not dataset.TEMPLATE.fullmatch(str(self._tables.video_path)):
            raise ValueError("video_path is no template of a path")
        path = self._tables.video_path.format(video_key=camera, chunk_index=int(chunk), file_index=int(file))
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError("video_path is outside of the dataset")
        return VideoPlace(path, start, end)

    def _read_lines(self, path: str) -> list[dict[str, Any]]:
        return [json.loads(json_line) for json_line in table_files.read_small(self._files, path).splitlines()]

    def _read_table(self, path: str, columns: Sequence[str] | None = None) -> Any:
        file = table_files.open_table(self._files, path)
        return file.read(columns=None if columns is None else [*columns])


def may_hold(file: Any, group_number: int, wanted_episodes: Collection[int]) -> bool:
    """Return whether a row group of an open file may have a frame of a wanted episode."""
    limits = find_limits(file, group_number)
    return limits is None or any(number in wanted_episodes for number in range(limits[0], limits[1] + 1))


def list_groups(file: Any, wanted: Collection[int] | None) -> list[list[int] | None]:
    """Return the row groups of an open file to read together: those with wanted episodes one by one, or all at once."""
    if wanted is None:
        return [None]
    return [[group_number] for group_number in range(file.num_row_groups) if may_hold(file, group_number, wanted)]


def find_limits(file: Any, group_number: int) -> tuple[int, int] | None:
    """Return the first and the last episode of a row group of an open file; None if that does not say it."""
    for column in map(file.metadata.row_group(group_number).column, range(file.metadata.num_columns)):
        if column.path_in_schema == "episode_index" and (limits := column.statistics) and limits.has_min_max:
            return limits.min, limits.max
    return None
