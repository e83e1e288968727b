"""Whether what arrived is what the service has: its length and every digest that is known, and a digest of our own."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from robotrain_sources.transfer.origin import Entry
from robotrain_sources.transfer.trouble import Different

PIECE = 1 << 20
AT_ONCE = 64


class Digests:
    """Of one file, as its bytes come in order."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._came = 0
        self._found: dict[str, Any] = {"sha256": hashlib.sha256()}
        if entry.md5 and not entry.sha256:
            self._found["md5"] = hashlib.md5(usedforsecurity=False)
        if entry.git:
            self._found["git"] = hashlib.sha1(b"blob %d\0" % entry.size, usedforsecurity=False)

    def add(self, piece: Any) -> None:
        """The next bytes."""
        self._came += len(piece)
        for digest in self._found.values():
            digest.update(piece)

    def read(self, handle: int, start: int, stop: int) -> None:
        """The next bytes, from a file."""
        for at in range(start, stop, PIECE):
            self.add(os.pread(handle, min(PIECE, stop - at), at))

    def own(self) -> str:
        """The SHA-256 of the whole file. Raises Different when it is not the file that was listed."""
        if self._came != self._entry.size:
            raise Different(f"{self._came} bytes came of {self._entry.size}")
        for name, digest in self._found.items():
            if (known := getattr(self._entry, name)) and digest.hexdigest() != known.lower():
                raise Different(f"its {name.upper() if name != 'git' else 'digest'} is not the one that is known of it")
        return str(self._found["sha256"].hexdigest())


def whole(path: Path, entry: Entry, content: Any) -> str:
    """Check and write a file that came in one piece; its own digest. Raises Different, OSError."""
    digests = Digests(entry)
    digests.add(content)
    own = digests.own()
    handle = opened(path, os.O_TRUNC)
    try:
        put(handle, [content], 0)
    finally:
        os.close(handle)
    return own


def opened(path: Path, how: int = 0) -> int:
    """A handle to read and write the file, made with its folders where there is none."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | how
    with suppress(FileNotFoundError):
        return os.open(path, flags, 0o644)
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, flags, 0o644)


def put(handle: int, pieces: Sequence[Any], at: int) -> None:
    """All of `pieces`, one after the other, at their place."""
    done = os.pwritev(handle, pieces, at)
    if left := memoryview(b"".join(pieces))[done:] if done < sum(map(len, pieces)) else b"":
        put(handle, [left], at + done)


def again(path: Path, size: int, own: str) -> bool:
    """Whether the file is still what had arrived."""
    digest = hashlib.sha256()
    try:
        if path.is_symlink() or path.stat().st_size != size:
            return False
        for piece in _pieces(path):
            digest.update(piece)
    except OSError:
        return False
    return digest.hexdigest() == own


def harmed(files: Path, kept: Iterable[tuple[str, int, str]], pool: Executor) -> Iterator[list[str]]:
    """The names of those of `kept` (name, size, own digest) below `files` that are not any more what had arrived."""
    left = iter(kept)
    while some := list(islice(left, AT_ONCE)):
        fine = pool.map(lambda one: again(files / one[0], one[1], one[2]), some)
        yield [one[0] for one, right in zip(some, fine, strict=True) if not right]


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as content:
        while piece := content.read(PIECE):
            yield piece
