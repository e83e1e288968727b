"""Digests of files over all their bytes, kept on this machine: a file is read once, until somebody writes to it."""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Read(NamedTuple):
    """What came of reading a file. whole: the digest of all bytes. ends: that of the first and last `end` bytes."""

    whole: str
    end: int
    ends: str


def key(known: os.stat_result) -> str:
    """What is another as soon as somebody wrote to the file, or put another in its place."""
    return f"{known.st_dev}:{known.st_ino}:{known.st_size}:{known.st_mtime_ns}:{known.st_ctime_ns}"


def load(folder: Path) -> dict[str, Read]:
    """What is kept of a folder's files, by their keys; nothing where that cannot be read."""
    try:
        found = json.loads(_place(folder).read_bytes())
        return {name: Read(str(whole), int(end), str(ends)) for name, (whole, end, ends) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def save(folder: Path, found: Mapping[str, Read]) -> None:
    """Keep this of a folder's files; where that cannot be written, they are read again the next time."""
    from robotrain import durable

    with contextlib.suppress(OSError):
        place = _place(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        durable.write(place, json.dumps(found).encode())


def _place(folder: Path) -> Path:
    from robotrain import folders

    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:32]
    return folders.cache() / "digests" / f"{name}.json"
