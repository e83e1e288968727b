"""Storage files of ROS 2 bags, by their names. Standard library only."""

import itertools
from pathlib import Path

STORAGE_SUFFIXES = (".db3", ".mcap")
COMPRESSED_SUFFIX = ".zstd"
"""What `ros2 bag record --compression-mode file` appends to the name of a storage file."""
MOST_LOOKED_AT = 20_000
"""Files of a folder: a folder that is named by mistake may have any number."""


def get_plain_path(path: Path) -> Path:
    """Return the path of a storage file without the suffix of its compression."""
    return path.with_suffix("") if path.suffix == COMPRESSED_SUFFIX else path


def is_storage_file(path: Path) -> bool:
    """Return whether the name is that of a storage file, compressed or not."""
    return get_plain_path(path).suffix in STORAGE_SUFFIXES


def has_bags(folder: Path) -> bool:
    """Return whether a storage file is in a folder or below it, as far as it is looked at."""
    return any(map(is_storage_file, itertools.islice(folder.rglob("*"), MOST_LOOKED_AT)))
