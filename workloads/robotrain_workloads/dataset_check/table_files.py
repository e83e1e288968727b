"""The files of a dataset: found, opened and read as tables, with what is wrong with their form."""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from robotrain_runtime.contract.files import open_regular_file, read_limited_file

from robotrain_workloads.dataset_check.findings import Finding, make_finding
from robotrain_workloads.lerobot import file_formats

DATA_FILES = "data/*/*.parquet"
BATCH_ROWS = 65_536
SMALL_GROUP, LARGEST_ROW, NUMBER_BYTES = 1 << 26, 1 << 16, 8
"""Bytes of columns of numbers: more of a row group than of that many rows is a lie that would fill the memory."""
LARGEST_TEXT = 100_000_000

Array = Any
"""An array of numpy."""


class Unreadable(Exception):
    """A file of a dataset cannot be read."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


def list_files(root: Path, pattern: str) -> list[str]:
    """Return the files of a dataset that match a pattern, sorted."""
    return [path.relative_to(root).as_posix() for path in sorted(root.glob(pattern)) if path.is_file()]


def read_text(root: Path, path: str, most_bytes: int = LARGEST_TEXT) -> bytes:
    """Return the content of a file of text. Raise Unreadable, OSError."""
    if not (root / path).is_file():
        raise Unreadable(make_finding("file-missing", f"{path} does not exist"))
    try:
        return read_limited_file(root / path, most_bytes)
    except ValueError as error:
        raise Unreadable(
            make_finding("file-unreadable", f"{path} is too large to be read: more than {most_bytes:,} bytes")
        ) from error


def find_damage(root: Path, path: str, subject: str = "") -> Finding | None:
    """Return why a file cannot be read; None if its form is right."""
    if not (root / path).is_file():
        return make_finding("file-missing", f"{path}{subject} does not exist")
    with open_regular_file(root / path) as file:
        damage = file_formats.explain_form(file, (root / path).stat().st_size, (root / path).suffix)
    code = "file-is-pointer" if damage == file_formats.LFS_POINTER else "file-unreadable"
    return make_finding(code, f"{path}{subject} {damage}") if damage else None


def open_table(root: Path, path: str) -> Any:
    """Return an open Parquet file. Raise Unreadable."""
    if finding := find_damage(root, path):
        raise Unreadable(finding)
    try:
        return pq.ParquetFile(root / path)
    except (OSError, pa.ArrowException) as error:
        raise _explain_failure(path, error) from error


def read_table(root: Path, path: str, needed: Sequence[str], others: Sequence[str] | None) -> pd.DataFrame:
    """Return a whole table: the needed columns, and of others those that it has (None: all). Raise Unreadable."""
    file = open_table(root, path)
    names = file.schema_arrow.names
    for name in needed:
        if name not in names:
            raise Unreadable(make_finding("column-missing", f"{path} has no column {name}"))
    columns = names if others is None else [*needed, *(name for name in others if name in names)]
    require_sizes(file, path, columns)
    try:
        return file.read(columns=columns).to_pandas(ignore_metadata=True)
    except (OSError, pa.ArrowException) as error:
        raise _explain_failure(path, error) from error


def require_sizes(file: Any, path: str, columns: Sequence[str]) -> None:
    """Raise Unreadable if an open file claims bytes of columns that would fill the memory."""
    for group in map(file.metadata.row_group, range(file.num_row_groups)):
        chunks = map(group.column, range(group.num_columns))
        chosen = [chunk for chunk in chunks if chunk.path_in_schema.split(".list")[0] in columns]
        size = sum(max(chunk.total_uncompressed_size, chunk.num_values * NUMBER_BYTES) for chunk in chosen)
        if size > max(SMALL_GROUP, group.num_rows * LARGEST_ROW):
            raise Unreadable(
                make_finding("file-unreadable", f"{path} claims {size:,} bytes of numbers in {group.num_rows:,} rows")
            )


def read_batches(file: Any, path: str, columns: Sequence[str]) -> Iterator[Any]:
    """Yield the rows of an open file, some at a time. Raise Unreadable."""
    try:
        for group in range(file.num_row_groups):  # pyarrow keeps what it read until its iterator ends
            yield from file.iter_batches(BATCH_ROWS, [group], columns)
    except (OSError, pa.ArrowException) as error:
        raise _explain_failure(path, error) from error


def _explain_failure(path: str, error: Exception) -> Unreadable:
    reason = re.sub(r"[\s\x00-\x1f]+", " ", str(error)).strip()
    return Unreadable(make_finding("file-unreadable", f"{path} is damaged: {reason}"))


def may_hold(file: Any, group: int, episodes: Collection[int]) -> bool:
    """Return whether a row group may have a frame of one of these episodes."""
    meta = file.metadata.row_group(group)
    for column in map(meta.column, range(meta.num_columns)):
        limits = column.statistics if column.path_in_schema == "episode_index" else None
        if limits and limits.has_min_max:
            return any(limits.min <= episode <= limits.max for episode in episodes)
    return True


def to_numbers(column: Any, size: int, dtype: Any = np.float32) -> tuple[Array, Array]:
    """Return a column as rows of numbers, NaN for other lengths; and their lengths, -1 without a value."""
    count = len(column)
    is_there = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), bool)
    lengths = np.where(is_there, size, -1)
    if pa.types.is_list(column.type) and not hasattr(column.type.value_type, "value_type"):
        lengths = np.where(is_there, column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False), -1)
        is_there = lengths == size
        if not is_there.all():
            column = column.filter(pa.array(is_there))
    while hasattr(column.type, "value_type"):
        column = column.flatten()
    flat = column.to_numpy(zero_copy_only=False)
    flat = flat.astype(dtype or (flat.dtype if flat.dtype.kind == "f" else np.float64), copy=False)
    if is_there.all() and len(flat) == count * size:
        return flat.reshape(count, size), lengths
    values = np.full((count, size), np.nan, flat.dtype)
    if len(flat) == is_there.sum() * size:
        values[is_there] = flat.reshape(-1, size)
    else:
        values[is_there] = flat.reshape(-1, 1)[:count] if size == 1 else np.nan
    return values, lengths
