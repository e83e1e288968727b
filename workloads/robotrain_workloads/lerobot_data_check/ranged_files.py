"""Files that are elsewhere, read in ranges: what was read stays in memory, so that a part is asked for once."""

import bisect
import io
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

from robotrain_workloads.lerobot_data_check.dataset_files import RowPart

FileRange = tuple[str, int, int]
"""Path, first byte, last byte + 1."""
ReadRanges = Callable[[Sequence[FileRange]], list[bytes]]
MOST_GROUPS, MOST_COLUMN_BYTES = 256, 14_000_000
"""Row groups whose places, times and tasks are read, and their bytes, of a whole dataset."""
FEW_GROUPS, MOST_NUMBER_BYTES = 16, 2_000_000
"""Row groups whose numbers are read too. The run reads all of them."""
MOST_OVERLAPS, LARGEST_HOLE = 4, 1 << 13
FEWEST_BYTES, VIDEO_BLOCK, MOST_BYTES = 1 << 16, 1 << 18, 100_000_000
"""What is read at least where nobody fetched before, as most readers go on, and what is kept of all files."""
MOST_FETCHED = 1 << 22
"""Bytes that are asked for at once."""


class RangedFiles:
    """The files of a dataset by the functions that read parts of them."""

    def __init__(self, name: str, sizes: Mapping[str, int], read_ranges: ReadRanges) -> None:
        self.name, self._sizes, self._ask, self.most_pictures = name, sizes, read_ranges, 2
        self._opened: dict[str, _RangedFile] = {}
        self._most, self._spent, self.is_spent = math.inf, 0, False

    def limit_reads(self, most_bytes: float) -> None:
        """From here on, read at most so many bytes: what would be more sets `is_spent`, and raises OSError."""
        self._most, self._spent, self.is_spent = most_bytes, 0, False

    @property
    def part_spent(self) -> float:
        """How much of the limit was read, from 0 to 1."""
        return self._spent / self._most

    def _read_ranges(self, ranges: Sequence[FileRange]) -> list[bytes]:
        self._spent += sum(stop - start for _, start, stop in ranges)
        if self._spent > self._most:
            self.is_spent = True
            raise OSError(f"it is elsewhere, and more than {self._most / 1e6:g} MB would be read")
        return self._ask(ranges)

    def list_files(self, pattern: str) -> list[str]:
        """Return the files that match a pattern, sorted as a folder's are."""
        depth = pattern.count("/")
        paths = [path for path in self._sizes if path.count("/") == depth and PurePosixPath(path).match(pattern)]
        return sorted(paths, key=lambda path: path.split("/"))

    def get_size(self, path: str) -> int:
        """Return the size of a file in bytes. Raise FileNotFoundError."""
        if path not in self._sizes:
            raise FileNotFoundError(f"{path} of {self.name} does not exist")
        return self._sizes[path]

    def open(self, path: str) -> BinaryIO:
        """Open a file. Raise OSError."""
        self.get_size(path)
        return cast(BinaryIO, self._get_file(path))

    def read(self, path: str) -> bytes:
        """Return the content of a file. Raise OSError."""
        return self._read_ranges([(path, 0, self.get_size(path))])[0]

    def has_range(self, file_range: FileRange) -> bool:
        """Return whether to read a part of a file asks nobody."""
        return self._get_file(file_range[0]).has_part(*file_range[1:])

    def fetch(self, ranges: Iterable[FileRange]) -> None:
        """Read parts of files at once, so that to read them later asks nobody. Raise OSError."""
        for _ in self.fetch_parts(ranges):
            pass

    def fetch_parts(self, ranges: Iterable[FileRange]) -> Iterator[float]:
        """The same, some at a time; yield how much is done, from 0 to 1."""
        waiting_ranges = [file_range for file_range in ranges if not self.has_range(file_range)]
        total, done_ranges = len(waiting_ranges), 0
        while done_ranges < total:
            sizes = itertools.accumulate(stop - start for _, start, stop in waiting_ranges[done_ranges:])
            batch = waiting_ranges[done_ranges : done_ranges + max(1, sum(size <= MOST_FETCHED for size in sizes))]
            for (path, start, _), range_bytes in zip(batch, self._read_ranges(batch), strict=True):
                self._get_file(path).keep_part(start, range_bytes)
            done_ranges += len(batch)
            yield done_ranges / total

    def plan_rows(self, file: Any, path: str, columns: Sequence[str], numbers: Sequence[str]) -> list[RowPart]:
        """Return the row groups, evenly spread, whose columns and whose numbers are read, and fetch them at once."""
        meta = file.metadata
        firsts = [0, *itertools.accumulate(meta.row_group(number).num_rows for number in range(meta.num_row_groups))]
        file_count = max(1, len(self.list_files(f"{path.split('/')[0]}/*/*.parquet")))
        row_parts = list[RowPart]()
        ranges = list[FileRange]()
        for column_names, most_groups, most_bytes in (
            (columns, MOST_GROUPS, MOST_COLUMN_BYTES),
            ([*columns, *numbers] if numbers else (), FEW_GROUPS, MOST_NUMBER_BYTES),
        ):
            remaining_bytes = most_bytes // file_count
            for group_number in _spread(meta.num_row_groups, max(1, most_groups // file_count)) if column_names else ():
                row_ranges = list(list_parts(meta.row_group(group_number), path, column_names))
                remaining_bytes -= sum(stop - start for _, start, stop in row_ranges)
                if remaining_bytes < 0:
                    break
                row_parts.append(RowPart(firsts[group_number], [group_number], column_names))
                ranges += row_ranges
        self.fetch(dict.fromkeys(ranges))
        return row_parts

    def _get_file(self, path: str) -> "_RangedFile":
        """Return a file from its start; what was read of the others is forgotten when it is too much."""
        if sum(opened.kept_bytes for opened in self._opened.values()) > MOST_BYTES:
            self._opened = {}
        file = self._opened.setdefault(path, _RangedFile(path, self.get_size(path), self._read_ranges))
        file.seek(0)
        return file


def _spread(count: int, most_numbers: int) -> list[int]:
    """Return numbers below `count`, at most so many, evenly spread: the first and the last are among them."""
    if count <= most_numbers:
        return [*range(count)]
    return sorted({round(index * (count - 1) / max(1, most_numbers - 1)) for index in range(most_numbers)})


def list_parts(group: Any, path: str, names: Sequence[str]) -> Iterator[FileRange]:
    """Yield the parts of a file that pyarrow reads for some columns of a row group."""
    return _join_near(_list_column_ranges(group, path, names))


def _list_column_ranges(row_group: Any, path: str, column_names: Sequence[str]) -> Iterator[FileRange]:
    """Yield where the columns of a row group are."""
    for column in map(row_group.column, range(row_group.num_columns)):
        if f"{column.path_in_schema}.".startswith(tuple(f"{name}." for name in column_names)):  # of lists, more follows
            first_offset = column.data_page_offset
            if column.has_dictionary_page:
                first_offset = min(first_offset, column.dictionary_page_offset)
            yield path, first_offset, first_offset + column.total_compressed_size


def _join_near(ranges: Iterable[FileRange]) -> Iterator[FileRange]:
    """Yield ranges of a file, those together that pyarrow reads together."""
    joined_range: FileRange | None = None
    for path, start, stop in sorted(ranges):
        if joined_range and start <= joined_range[2] + LARGEST_HOLE:
            joined_range = (path, joined_range[1], max(joined_range[2], stop))
            continue
        if joined_range:
            yield joined_range
        joined_range = (path, start, stop)
    if joined_range:
        yield joined_range


class _RangedFile(io.RawIOBase):
    """A file that is read in ranges."""

    def __init__(self, path: str, size: int, read_ranges: ReadRanges) -> None:
        super().__init__()
        self._path, self._size, self._read_ranges = path, size, read_ranges
        self._starts: list[int] = []
        self._parts: dict[int, bytes] = {}
        self._place = self.kept_bytes = 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be sought in."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        self._place = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence])
        return self._place

    def has_part(self, start: int, stop: int) -> bool:
        """Return whether a part was read before."""
        return self._find_part(start, stop) is not None

    def keep_part(self, start: int, part_bytes: bytes) -> None:
        """Keep a part."""
        if start not in self._parts:
            bisect.insort(self._starts, start)
        self._parts[start] = part_bytes
        self.kept_bytes += len(part_bytes)

    def close(self) -> None:
        """Do nothing: it is opened again with what was read."""

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, to its end but at the end of the file, or of a block of a video."""
        start = self._place
        stop = min(self._size, self._place + len(buffer))
        if start >= stop:
            return 0
        block_start, block_end = start, max(stop, start + FEWEST_BYTES)
        if self._path.endswith(".mp4"):  # its reader goes on where it was given less, and to and fro
            block_start = start - start % VIDEO_BLOCK
            block_end = block_start + VIDEO_BLOCK
            stop = min(stop, block_end)
        part_bytes = self._find_part(start, stop)
        if part_bytes is None:
            self.keep_part(block_start, self._read_ranges([(self._path, block_start, min(self._size, block_end))])[0])
            part_bytes = self._find_part(start, stop) or b""
        buffer[: len(part_bytes)] = part_bytes
        self._place += len(part_bytes)
        return len(part_bytes)

    def _find_part(self, start: int, stop: int) -> bytes | None:
        index = bisect.bisect_right(self._starts, start)
        for part_start in reversed(self._starts[max(0, index - MOST_OVERLAPS) : index]):
            if stop <= part_start + len(part := self._parts[part_start]):
                return part[start - part_start : stop - part_start]
        return None
