"""The files of a dataset, wherever they are: what compares its tables opens them through this."""

from collections.abc import Iterable, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from robotrain_runtime.contract.files import open_regular_file, read_limited_file

LARGEST_TEXT = 100_000_000
"""In bytes."""


class RowPart(NamedTuple):
    """What is read of a table."""

    first: int
    """The number of its first row in the file."""
    groups: Sequence[int] | None
    """Row groups that follow one another; None for all."""
    columns: Sequence[str]


class DatasetFiles(Protocol):
    """The files of one dataset; paths are relative to it, with slashes."""

    @property
    def name(self) -> str:
        """What a message calls the dataset."""

    @property
    def most_pictures(self) -> int:
        """How many videos of a camera are opened, to stay fast; of the others it is known whether they exist."""

    def plan_rows(self, file: Any, path: str, columns: Sequence[str], numbers: Sequence[str]) -> Iterable[RowPart]:
        """Return what to read of an open Parquet file: all of it, or the columns, and of `numbers` a sample."""

    def list_files(self, pattern: str) -> list[str]:
        """Return the files that match a pattern, sorted; `*` does not match a slash."""

    def get_size(self, path: str) -> int:
        """Return the size of a file in bytes. Raise FileNotFoundError."""

    def open(self, path: str) -> BinaryIO:
        """Open a file, which can be sought in. Raise OSError."""

    def read(self, path: str) -> bytes:
        """Return the content of a small file. Raise OSError, ValueError."""


class LocalFiles:
    """The files below a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root, self.name, self.most_pictures = root, str(root), 200

    def plan_rows(self, file: Any, path: str, columns: Sequence[str], numbers: Sequence[str]) -> Iterable[RowPart]:
        """Return all rows."""
        return (RowPart(0, None, [*columns, *numbers]),)

    def list_files(self, pattern: str) -> list[str]:
        """Return the files that match a pattern, sorted."""
        return [path.relative_to(self.root).as_posix() for path in sorted(self.root.glob(pattern)) if path.is_file()]

    def get_size(self, path: str) -> int:
        """Return the size of a file in bytes. Raise FileNotFoundError."""
        if not (self.root / path).is_file():
            raise FileNotFoundError(f"{self.root / path} does not exist")
        return (self.root / path).stat().st_size

    def open(self, path: str) -> BinaryIO:
        """Open a file. Raise OSError, also for a pipe or a device."""
        return BufferedReader(open_regular_file(self.root / path))

    def read(self, path: str) -> bytes:
        """Return the content of a small file. Raise OSError, and ValueError if it is larger than LARGEST_TEXT."""
        return read_limited_file(self.root / path, LARGEST_TEXT)
