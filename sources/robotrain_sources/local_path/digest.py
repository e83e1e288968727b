"""What a folder holds, in one line: made in seconds, and another as soon as somebody changed a file.

Every path and size counts, files up to 2 MiB whole, larger ones by their first and last MiB; of very many files less of
each is read, so that a GiB is enough for all. A change that leaves a file's size and both its ends as they are goes
unseen. A link counts as the text it holds, and is never followed. What changes while the data does not is left out:
`.cache`, `__pycache__`, the seal of a checkpoint, and the times and rights of files: a copy has the same digest.
Standard library only.
"""

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.checkpoint import MANIFEST

PREFIX = "folder"
LEFT_OUT = frozenset({".cache", "__pycache__", MANIFEST})
MOST, LEAST, ALTOGETHER = 2 << 20, 16 << 10, 1 << 30
PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Digest:
    """The digest of a folder: 64 hex digits, and how many files of how many bytes altogether."""

    hex: str
    files: int
    size: int

    @property
    def pin(self) -> str:
        """As it is kept."""
        return f"{PREFIX}:{self.hex}:{self.files}:{self.size}"

    def __str__(self) -> str:
        return f"{self.files} files of {self.size:,} bytes"


def of(folder: Path) -> Digest:
    """The digest of what lies below `folder` now. Raises OSError that names the file which cannot be read."""
    found = list(_entries(folder))
    share = max(LEAST, min(MOST, ALTOGETHER // max(1, len(found))))
    total, size = hashlib.sha256(), 0
    for path, entry in found:
        kind, length, content = _file(entry, share // 2)
        total.update(b"%s\0%s\0%d\0%s\n" % (os.fsencode(path), kind, length, content))
        size += length
    return Digest(total.hexdigest(), len(found), size)


def unlike(folder: Path, pin: str) -> str:
    """Why the folder is not what was pinned, as a sentence; empty when it is.

    Empty also for the pin of a robotrain that looked at folders in another way. Raises OSError.
    """
    how = differs(folder, pin)
    return f"{folder} changed since it was pinned: {how}; written last: {_newest(folder)}." if how else ""


def differs(folder: Path, pin: str) -> str:
    """In what the folder differs from what was pinned, in some words; empty as for `unlike`. Raises OSError."""
    then, now = read(pin), of(folder)
    if then is None or then == now:
        return ""
    same = (then.files, then.size) == (now.files, now.size)
    return f"as large as then ({now}), but with other content" if same else f"{then} then, {now} now"


def read(pin: str) -> Digest | None:
    """The digest that a pin says; None for the pin of a robotrain that looked at folders in another way."""
    prefix, *parts = pin.split(":")
    if prefix != PREFIX or len(parts) != 3 or len(parts[0]) != 64 or not all(map(str.isdecimal, parts[1:])):
        return None
    return Digest(parts[0], int(parts[1]), int(parts[2]))


def _entries(folder: str | Path, above: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below a folder that is no folder, with its path from there, in one order for everybody."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    for entry in found:
        if entry.name in LEFT_OUT:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(entry.path, f"{above}{entry.name}/")
        else:
            yield f"{above}{entry.name}", entry


def _file(entry: os.DirEntry[str], end: int) -> tuple[bytes, int, bytes]:
    """What an entry is, its length, and what tells its content: the first and the last `end` bytes."""
    if entry.is_symlink():
        text = os.fsencode(os.readlink(entry.path))
        return b"link", len(text), hashlib.sha256(text).hexdigest().encode()
    known = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(known.st_mode):
        return b"other", 0, b""  # a pipe, say: to open it could wait for ever
    told = hashlib.sha256()
    with open(entry.path, "rb", buffering=0) as file:
        _take(file, end, told)
        if known.st_size > end:
            file.seek(max(end, known.st_size - end))
            _take(file, end, told)
    return b"file", known.st_size, told.hexdigest().encode()


def _take(file: io.FileIO, most: int, told: "hashlib._Hash") -> None:
    """Add up to `most` bytes of the file to a hash."""
    while most and (piece := file.read(min(most, PIECE))):
        told.update(piece)
        most -= len(piece)


def _newest(folder: Path) -> str:
    """The file that was written last, from the folder; empty when it holds none."""
    written = ((entry.stat(follow_symlinks=False).st_mtime_ns, path) for path, entry in _entries(folder))
    return max(written, default=(0, "nothing is left"))[1]
