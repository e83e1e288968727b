"""Whether what arrived is what the service has: its length and every digest that is known, and a digest of our own."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from robotrain_sources.transfer.errors import ContentMismatch
from robotrain_sources.transfer.origin import SourceFile

PIECE_SIZE = 1 << 20
BATCH_SIZE = 64


class FileVerifier:
    """Of one file, as its bytes come in order."""

    def __init__(self, entry: SourceFile) -> None:
        self._entry = entry
        self._length = 0
        self._hashers: dict[str, Any] = {"sha256": hashlib.sha256()}
        if entry.md5 and not entry.sha256:
            self._hashers["md5"] = hashlib.md5(usedforsecurity=False)
        if entry.git:
            self._hashers["git"] = hashlib.sha1(b"blob %d\0" % entry.size, usedforsecurity=False)

    def update(self, piece: Any) -> None:
        """The next bytes."""
        self._length += len(piece)
        for digest in self._hashers.values():
            digest.update(piece)

    def update_from_file(self, handle: int, start: int, stop: int) -> None:
        """The next bytes, from a file."""
        for at in range(start, stop, PIECE_SIZE):
            self.update(os.pread(handle, min(PIECE_SIZE, stop - at), at))

    def finish(self) -> str:
        """The SHA-256 of the whole file. Raises Different when it is not the file that was listed."""
        if self._length != self._entry.size:
            raise ContentMismatch(f"{self._length} bytes came of {self._entry.size}")
        for name, digest in self._hashers.items():
            if (known := getattr(self._entry, name)) and digest.hexdigest() != known.lower():
                raise ContentMismatch(
                    f"its {name.upper() if name != 'git' else 'digest'} is not the one that is known of it"
                )
        return str(self._hashers["sha256"].hexdigest())


def write_verified_file(path: Path, entry: SourceFile, content: Any) -> str:
    """Check and write a file that came in one piece; its own digest. Raises Different, OSError."""
    digests = FileVerifier(entry)
    digests.update(content)
    own = digests.finish()
    handle = open_for_writing(path, os.O_TRUNC)
    try:
        write_pieces(handle, [content], 0)
    finally:
        os.close(handle)
    return own


def open_for_writing(path: Path, extra_flags: int = 0) -> int:
    """A handle to read and write the file, made with its folders where there is none."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | extra_flags
    with suppress(FileNotFoundError):
        return os.open(path, flags, 0o644)
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, flags, 0o644)


def write_pieces(handle: int, pieces: Sequence[Any], offset: int) -> None:
    """All of `pieces`, one after the other, at their place."""
    done = os.pwritev(handle, pieces, offset)
    if left := memoryview(b"".join(pieces))[done:] if done < sum(map(len, pieces)) else b"":
        write_pieces(handle, [left], offset + done)


def is_unchanged(path: Path, size: int, sha256: str) -> bool:
    """Whether the file is still what had arrived."""
    digest = hashlib.sha256()
    try:
        if path.is_symlink() or path.stat().st_size != size:
            return False
        for piece in _read_pieces(path):
            digest.update(piece)
    except OSError:
        return False
    return digest.hexdigest() == sha256


def find_changed_files(files: Path, expected: Iterable[tuple[str, int, str]], pool: Executor) -> Iterator[list[str]]:
    """The names of those of `kept` (name, size, own digest) below `files` that are not any more what had arrived."""
    left = iter(expected)
    while some := list(islice(left, BATCH_SIZE)):
        fine = pool.map(lambda one: is_unchanged(files / one[0], one[1], one[2]), some)
        yield [one[0] for one, right in zip(some, fine, strict=True) if not right]


def _read_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as content:
        while piece := content.read(PIECE_SIZE):
            yield piece
