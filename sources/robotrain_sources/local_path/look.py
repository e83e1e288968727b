"""A look at a folder that was pinned, in seconds: whoever waits for it where the job runs holds a GPU.

Every path and size counts, files up to 2 MiB whole, larger ones by their first and last MiB; of very many files less of
each is read, so that a GiB is enough for all. A change that leaves a file's size and both its ends as they are goes
unseen here; where a job is sent all bytes are read, see `digest`. A link counts as the text it holds. What changes
while the data does not is left out: the seal of a checkpoint, and the times and rights of files. Standard library only.
"""

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.checkpoint import MANIFEST

from robotrain_sources.local_path import form, listing

MOST, LEAST, ALTOGETHER = 2 << 20, 16 << 10, 1 << 30
PIECE = 1 << 18


class Part(NamedTuple):
    """Something in a folder. content: what tells its content from another."""

    path: str
    kind: bytes
    size: int
    content: str


def unlike(folder: Path, pin: str) -> str:
    """Why the folder is not what was pinned, as a sentence; empty when it is.

    Empty also for the pin of a robotrain that looked at folders in another way. Raises OSError.
    """
    return changed(folder, differs(folder, pin))


def differs(folder: Path, pin: str) -> str:
    """In what the folder differs from what was pinned, in some words; empty as for `unlike`. Raises OSError."""
    if (then := form.read(pin)) is None:
        return ""
    found = list(counted(folder))
    end = end_of(len(found))
    parts = [part(*one, lambda entry: ends(entry.path, end)) for one in found]
    return form.difference(then, form.Digest(then.hex, seen(parts), len(parts), sum(one.size for one in parts)))


def changed(folder: Path, how: str) -> str:
    """The sentence for a folder that differs from what was pinned, in some words; empty for none."""
    return f"{folder} changed since it was pinned: {how}; written last: {_newest(folder)}." if how else ""


def counted(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """What the digest of a folder is of."""
    return (one for one in listing.entries(folder) if one[1].name != MANIFEST)


def end_of(files: int) -> int:
    """How many bytes of each end of a file are read."""
    return max(LEAST, min(MOST, ALTOGETHER // max(1, files))) // 2


def part(path: str, entry: os.DirEntry[str], content: Callable[[os.DirEntry[str]], str]) -> Part:
    """What an entry is. content: tells that of a file."""
    if entry.is_symlink():
        text = os.fsencode(os.readlink(entry.path))
        return Part(path, b"link", len(text), hashlib.sha256(text).hexdigest())
    known = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(known.st_mode):
        return Part(path, b"other", 0, "")  # a pipe, say: to open it could wait for ever
    return Part(path, b"file", known.st_size, content(entry))


def together(parts: Iterable[Part]) -> str:
    """One digest of them all."""
    total = hashlib.sha256()
    for path, kind, size, content in parts:
        total.update(b"%s\0%s\0%d\0%s\n" % (os.fsencode(path), kind, size, content.encode()))
    return total.hexdigest()


def seen(parts: Iterable[Part]) -> str:
    """The digest of what a look reads, as a pin keeps it."""
    return together(parts)[: form.FORM[1]]


def ends(path: str, end: int) -> str:
    """The digest of a file's first and last bytes, `end` of each; of a shorter one that of all."""
    told = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        _take(file, end, told)
        if size > end:
            file.seek(max(end, size - end))
            _take(file, end, told)
    return told.hexdigest()


def _take(file: io.FileIO, most: int, told: "hashlib._Hash") -> None:
    """Add up to `most` bytes of the file to a hash."""
    while most and (piece := file.read(min(most, PIECE))):
        told.update(piece)
        most -= len(piece)


def _newest(folder: Path) -> str:
    """The file that was written last, from the folder; empty when it holds none."""
    written = ((entry.stat(follow_symlinks=False).st_mtime_ns, path) for path, entry in listing.entries(folder))
    return max(written, default=(0, "nothing is left"))[1]
