"""Files that are elsewhere, read in ranges: what was read stays in memory, so that a part is asked for once."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

FileRange = tuple[str, int, int]
"""Path, first byte, last byte + 1."""
ReadRanges = Callable[[Sequence[FileRange]], list[bytes]]
FEWEST_BYTES, MOST_BYTES = 1 << 16, 1 << 26
"""What is read at least where nobody fetched before, as most readers go on, and what is kept of all files."""


class RangedFiles:
    """The files of a dataset by the functions that read parts of them."""

    def __init__(self, name: str, sizes: Mapping[str, int], read_ranges: ReadRanges) -> None:
        self.name, self._sizes, self._read_ranges = name, sizes, read_ranges
        self._opened: dict[str, _RangedFile] = {}

    def list_files(self, pattern: str) -> list[str]:
        """Return the files that match a pattern, sorted as a folder's are."""
        depth = pattern.count("/")
        found = [one for one in self._sizes if one.count("/") == depth and PurePosixPath(one).match(pattern)]
        return sorted(found, key=lambda path: path.split("/"))

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

    def fetch(self, ranges: Iterable[FileRange]) -> None:
        """Read parts of files at once, so that to read them later asks nobody. Raise OSError."""
        asked = [one for one in ranges if not self._get_file(one[0]).has_part(*one[1:])]
        for (path, start, _), content in zip(asked, self._read_ranges(asked) if asked else (), strict=True):
            self._get_file(path).keep_part(start, content)

    def _get_file(self, path: str) -> "_RangedFile":
        """Return a file from its start; what was read of the others is forgotten when it is too much."""
        if sum(one.kept_bytes for one in self._opened.values()) > MOST_BYTES:
            self._opened = {}
        found = self._opened.setdefault(path, _RangedFile(path, self.get_size(path), self._read_ranges))
        found.seek(0)
        return found


class _RangedFile(io.RawIOBase):
    """A file that is read in ranges."""

    def __init__(self, path: str, size: int, read_ranges: ReadRanges) -> None:
        super().__init__()
        self._path, self._size, self._read_ranges = path, size, read_ranges
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

    def keep_part(self, start: int, content: bytes) -> None:
        """Keep a part."""
        self._parts[start] = content
        self.kept_bytes += len(content)

    def close(self) -> None:
        """Do nothing: it is opened again with what was read."""

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, to its end but at the end of the file."""
        start, stop = self._place, min(self._size, self._place + len(buffer))
        if start >= stop:
            return 0
        content = self._find_part(start, stop)
        if content is None:
            end = min(self._size, max(stop, start + FEWEST_BYTES))
            self.keep_part(start, self._read_ranges([(self._path, start, end)])[0])
            content = self._find_part(start, stop) or b""
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)

    def _find_part(self, start: int, stop: int) -> bytes | None:
        for first, part in self._parts.items():
            if first <= start and stop <= first + len(part):
                return part[start - first : stop - first]
        return None
