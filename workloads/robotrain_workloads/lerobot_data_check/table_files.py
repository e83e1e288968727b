"""The files of a dataset's tables, opened only if their form is right, and read by column."""

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from robotrain_workloads.lerobot import file_formats
from robotrain_workloads.lerobot_data_check.dataset_files import LARGEST_TEXT, DatasetFiles
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding

DATA_FILES, EPISODE_FILES, TASK_FILE = "data/*/*.parquet", "meta/episodes/*/*.parquet", "meta/tasks.parquet"
BATCH_ROWS = 100_000
MOST_ROWS = 10_000_000
"""Of the tables that are read as a whole."""
SMALL_GROUP, LARGEST_ROW = 1 << 26, 1 << 16
"""Bytes of the columns that are read: more of a row group than of that many rows is none of numbers."""
NUMBER_BYTES = 8
"""Of a value: a repeated one takes nearly none in the file."""

Columns = Mapping[str, Any]


class ProblemList:
    """Each kind of problem of a feature once, with all its episodes."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[DataFinding, set[int]]] = {}

    def add(self, problem: DataFinding) -> None:
        """Add a problem; of each kind the first text is told."""
        self._found.setdefault((problem.code, problem.feature), (problem, set()))[1].update(problem.episodes)

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[DataFinding]:
        return (problem._replace(episodes=tuple(sorted(episodes))) for problem, episodes in self._found.values())


class UnreadableTable(Exception):
    """A file of a table cannot be read."""

    def __init__(self, problem: DataFinding) -> None:
        super().__init__(problem.text)
        self.problem = problem


def find_damage(files: DatasetFiles, path: str, subject: str = "", *, is_opened: bool = True) -> DataFinding | None:
    """Return why a file cannot be read; None if its form is right.

    :param subject: what the file is, behind its path.
    :param is_opened: whether its content is looked at.
    """
    try:
        size = files.get_size(path)
    except FileNotFoundError:
        return make_data_finding("file-missing", f"{path}{subject} does not exist")
    file_suffix = PurePosixPath(path).suffix
    damage = file_formats.explain_form(files.open(path), size, file_suffix) if is_opened else ""
    kind = "file-is-pointer" if damage == file_formats.LFS_POINTER else "file-unreadable"
    return make_data_finding(kind, f"{path}{subject} {damage}") if damage else None


def read_object(files: DatasetFiles, path: str) -> dict[str, Any]:
    """Return the JSON object in a file. Raise UnreadableTable, OSError, ValueError."""
    return file_formats.parse_json_object(read_small(files, path, file_formats.LONGEST_JSON), path)


def read_small(files: DatasetFiles, path: str, most_bytes: int = LARGEST_TEXT) -> bytes:
    """Return the content of a file of text. Raise UnreadableTable, OSError."""
    try:
        size = files.get_size(path)
    except FileNotFoundError as error:
        raise UnreadableTable(make_data_finding("file-missing", f"{path} does not exist")) from error
    if size > most_bytes:
        finding_text = f"{path} is too large to be read: more than {most_bytes:,} bytes"
        raise UnreadableTable(make_data_finding("file-unreadable", finding_text))
    return files.read(path)


def open_table(files: DatasetFiles, path: str) -> Any:
    """Return an open Parquet file. Raise UnreadableTable."""
    parquet: Any = importlib.import_module("pyarrow.parquet")
    if problem := find_damage(files, path):
        raise UnreadableTable(problem)
    try:
        return parquet.ParquetFile(files.open(path))
    except (OSError, importlib.import_module("pyarrow").ArrowException) as error:
        raise _explain_failure(path, error) from error


def require_sizes(file: Any, path: str, column_names: Sequence[str], most_rows: int | None = None) -> None:
    """Raise UnreadableTable if an open file claims rows, or bytes of columns, that would fill the memory."""
    meta, reason = file.metadata, ""
    if most_rows is not None and meta.num_rows > most_rows:
        reason = f"{meta.num_rows:,} rows: at most {most_rows:,} are read"
    for row_group in map(meta.row_group, range(meta.num_row_groups)):
        columns = (row_group.column(number) for number in range(meta.num_columns))
        chosen_columns = [column for column in columns if f"{column.path_in_schema}.".startswith(tuple(column_names))]
        sizes = (max(column.total_uncompressed_size, column.num_values * NUMBER_BYTES) for column in chosen_columns)
        if (size := sum(sizes)) > max(SMALL_GROUP, row_group.num_rows * LARGEST_ROW):
            reason = f"{size:,} bytes of numbers in {row_group.num_rows:,} rows"
    if reason:
        raise UnreadableTable(make_data_finding("file-unreadable", f"{path} claims {reason}"))


def read_batches(
    file: Any, path: str, rows: int, column_names: Sequence[str], row_groups: Sequence[int] | None = None
) -> Iterator[Any]:
    """Yield the rows of an open file, or of some row groups, some at a time. Raise UnreadableTable."""
    chosen_groups = range(file.num_row_groups) if row_groups is None else row_groups
    step = max(1, rows * file.num_row_groups // max(1, file.metadata.num_rows))
    try:
        for start in range(0, len(chosen_groups), step):  # pyarrow keeps what it read until its iterator ends
            yield from file.iter_batches(
                batch_size=rows, row_groups=chosen_groups[start : start + step], columns=column_names
            )
    except (OSError, importlib.import_module("pyarrow").ArrowException) as error:
        raise _explain_failure(path, error) from error


def _explain_failure(path: str, error: Exception) -> UnreadableTable:
    reason = re.sub(r"[\s\x00-\x1f]+", " ", str(error)).strip()
    return UnreadableTable(make_data_finding("file-unreadable", f"{path} is damaged: {reason}"))


def read_columns(files: DatasetFiles, paths: Sequence[str], column_names: Sequence[str]) -> Columns:
    """Return columns of all files. Raise UnreadableTable, also for one that a file lacks."""
    np: Any = importlib.import_module("numpy")
    arrays_by_column: dict[str, list[Any]] = {column_name: [] for column_name in column_names}
    for path in paths:
        file = open_table(files, path)
        for column_name in (column_name for column_name in column_names if column_name not in file.schema_arrow.names):
            raise UnreadableTable(make_data_finding("column-missing", f"{path} has no column {column_name}"))
        require_sizes(file, path, column_names, MOST_ROWS)
        for batch in read_batches(file, path, BATCH_ROWS, [*column_names]):
            for column_name in column_names:
                arrays_by_column[column_name].append(batch.column(column_name).to_numpy(zero_copy_only=False))
    return {
        column_name: np.concatenate(arrays) if arrays else np.array([], int)
        for column_name, arrays in arrays_by_column.items()
    }


def find_wrong(is_wrong: Any) -> list[int]:
    """Return the places that are wrong."""
    return list(is_wrong.nonzero()[0].tolist())
