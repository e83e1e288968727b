"""Whole folders to a datastore and from it, over several connections; what is there whole already is left."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import contextlib
import hashlib
import importlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from robotrain_sources import side_by_side

from robotrain_azureml.service.datastore import Blob, Blobs, StorageError, telling

CONNECTIONS = 8
PIECE = 4 << 20
AT_ONCE = 2 * PIECE
"""The size of a file up to which it goes in one request."""
MOST_PIECES = 50_000
"""That one blob is made of."""
GRACE = 1.0
"""Seconds for which copies that are to stop are waited for."""
PART = ".robotrain-part"
Told = Callable[[int], None]
"""Hears of bytes that arrived."""


def _silent(count: int) -> None:
    """Nobody hears."""


def bring(blobs: Blobs, found: Iterable[Blob], below: str, to: Path, told: Told = _silent) -> int:
    """Copy these blobs of the folder `below` into `to`, each at its name from there: how many files there are then.

    Raises StorageError, OSError.
    """
    pairs = [(blob, to / _relative(blob.name, below)) for blob in found]
    for folder in {path.parent for _, path in pairs}:
        folder.mkdir(parents=True, exist_ok=True)

    def one(pair: tuple[Blob, Path], stopped: threading.Event) -> None:
        _bring(blobs, *pair, _Watch(told, stopped))

    _all(one, pairs)
    return len(pairs)


def send(blobs: Blobs, files: Mapping[str, Path], below: str, told: Told = _silent, whole: Told = _silent) -> None:
    """Copy files into the folder `below`, each to its name there, with its MD5. whole: hears of the bytes of each file
    that is there whole, and so stays. Raises StorageError, OSError.
    """
    share = max(1, CONNECTIONS // max(1, len(files)))

    def one(pair: tuple[str, Path], stopped: threading.Event) -> None:
        name, path = pair
        size = _send(blobs, f"{below.strip('/')}/{name}", path, _Watch(told, stopped), share)
        whole(size)

    _all(one, list(files.items()))


def differing(files: Mapping[str, Path], there: Mapping[str, Blob]) -> dict[str, Path]:
    """Those of the files that no blob of their name holds, read over several threads. Raises OSError."""
    found: dict[str, bool] = {}

    def one(name: str, stopped: threading.Event) -> None:
        blob = there.get(name)
        found[name] = blob is not None and same(files[name], blob, stopped)

    _all(one, list(files))
    return {name: path for name, path in files.items() if not found[name]}


def same(path: Path, blob: Blob, stopped: threading.Event | None = None) -> bool:
    """Whether a blob holds what a file does; a blob that does not say its MD5 does not. stopped: nobody wants to know
    it any more. Raises OSError.
    """
    watch = _Watch(_silent, stopped or threading.Event())
    return path.stat().st_size == blob.size and bool(blob.md5) and _md5(path, watch) == blob.md5


class _Stopped(Exception):
    """Another copy failed, or somebody pressed Ctrl-C."""


@dataclass(frozen=True)
class _Watch:
    """Who hears of bytes, and whether there are to be more of them."""

    told: Told
    stopped: threading.Event

    def came(self, count: int) -> None:
        """So many bytes more. Raises _Stopped."""
        self.look()
        self.told(count)

    def look(self) -> None:
        """Raises _Stopped."""
        if self.stopped.is_set():
            raise _Stopped


def _all(work: Callable[[Any, threading.Event], object], items: Sequence[Any], connections: int = CONNECTIONS) -> None:
    """Do it for each, side by side; the first that fails stops all others, and so does Ctrl-C."""
    side_by_side.each(work, items, min(connections, len(items)), grace=GRACE)


def _bring(blobs: Blobs, blob: Blob, path: Path, watch: _Watch) -> None:
    if path.is_file() and path.stat().st_size == blob.size and (not blob.md5 or _md5(path, watch) == blob.md5):
        watch.came(blob.size)
        return
    part = path.with_name(path.name + PART)
    try:
        _fetch(blobs, blob, part, watch)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _fetch(blobs: Blobs, blob: Blob, part: Path, watch: _Watch) -> None:
    """Whole, or not at all. Raises StorageError."""
    size, digest = 0, hashlib.md5(usedforsecurity=False)
    with telling(blobs.store), part.open("wb") as file:
        for piece in blobs.client.download_blob(blob.name).chunks():
            file.write(piece)
            digest.update(piece)
            size += len(piece)
            watch.came(len(piece))
    if size != blob.size or (blob.md5 and digest.digest() != blob.md5):
        why = f"{blob.name} changed while it was copied, or did not come whole"
        raise StorageError(why, code="not-whole", account=blobs.store.account)


def _send(blobs: Blobs, name: str, path: Path, watch: _Watch, connections: int) -> int:
    """Whole, or not at all: its size. Not left to the SDK where it is large: the end of the process waits for the
    SDK's own threads.
    """
    size, content = path.stat().st_size, _with_md5(_md5(path, watch))
    watch.look()
    with telling(blobs.store):
        if size <= AT_ONCE:
            blobs.client.upload_blob(name, path.read_bytes(), overwrite=True, content_settings=content)
            watch.told(size)
        else:
            _send_pieces(blobs.client.get_blob_client(name), path, size, content, watch, connections)
    return size


def _send_pieces(blob: Any, path: Path, size: int, content: object, watch: _Watch, connections: int) -> None:
    made: Any = importlib.import_module("azure.storage.blob").BlobBlock
    length = max(PIECE, -(-size // MOST_PIECES))

    def one(start: int, stopped: threading.Event) -> None:
        watch.look()
        with path.open("rb") as file:
            file.seek(start)
            piece = file.read(min(length, size - start))
        if stopped.is_set():
            raise _Stopped
        blob.stage_block(f"{start:016}", piece)
        watch.told(len(piece))

    starts = range(0, size, length)
    _all(one, starts, connections)
    watch.look()
    blob.commit_block_list([made(f"{start:016}") for start in starts], content_settings=content)


def _with_md5(digest: bytes) -> object:
    from azure.storage.blob import ContentSettings

    return ContentSettings(content_md5=bytearray(digest))


def _md5(path: Path, watch: _Watch) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        for piece in _pieces(file.read):
            watch.look()
            digest.update(piece)
    return digest.digest()


def _pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := read(PIECE):
        yield piece


def _relative(name: str, below: str) -> str:
    """A blob's name from the folder; one that would lie elsewhere is refused. Raises StorageError."""
    relative = name.removeprefix(f"{below.strip('/')}/") if below.strip("/") else name
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or "\\" in relative:
        raise StorageError(f"{name} would not lie in the folder it is copied to", code="odd-name")
    return relative
