"""Upload and download of folders of a datastore, over several connections. Complete files are skipped."""

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

from robotrain_sources import parallel

from robotrain_azureml.errors import StorageError
from robotrain_azureml.service.datastore import DatastoreBlob, DatastoreBlobs, translate_errors

CONNECTIONS = 8
PIECE_BYTES = 4 << 20
SINGLE_REQUEST_BYTES = 2 * PIECE_BYTES
"""Files up to this size are sent in one request."""
MAX_PIECES = 50_000
"""The most pieces of one blob."""
GRACE_SECONDS = 1.0
"""How long stopped transfers are waited for."""
PART_SUFFIX = ".robotrain-part"
ByteCallback = Callable[[int], None]
"""Called with the number of bytes that were transferred."""


def _ignore_bytes(count: int) -> None:
    pass


def download_blobs(
    blobs: DatastoreBlobs,
    listed: Iterable[DatastoreBlob],
    folder_name: str,
    to: Path,
    on_bytes: ByteCallback = _ignore_bytes,
) -> int:
    """Download blobs of a folder into `to` and return how many. Raises StorageError, OSError."""
    pairs = [(blob, to / _make_relative_name(blob.name, folder_name)) for blob in listed]
    for folder in {path.parent for _, path in pairs}:
        folder.mkdir(parents=True, exist_ok=True)

    def download(pair: tuple[DatastoreBlob, Path], stopped: threading.Event) -> None:
        _download_blob(blobs, *pair, _TransferMonitor(on_bytes, stopped))

    _run_parallel(download, pairs)
    return len(pairs)


def upload_files(
    blobs: DatastoreBlobs,
    files: Mapping[str, Path],
    folder_name: str,
    on_bytes: ByteCallback = _ignore_bytes,
    on_file: ByteCallback = _ignore_bytes,
) -> None:
    """Upload files into a folder with their MD5, by name. `on_file` is called with the size of each complete file.

    Raises StorageError, OSError.
    """
    share = max(1, CONNECTIONS // max(1, len(files)))

    def upload(pair: tuple[str, Path], stopped: threading.Event) -> None:
        name, path = pair
        size = _upload_file(blobs, f"{folder_name.strip('/')}/{name}", path, _TransferMonitor(on_bytes, stopped), share)
        on_file(size)

    _run_parallel(upload, list(files.items()))


def find_differing_files(files: Mapping[str, Path], uploaded: Mapping[str, DatastoreBlob]) -> dict[str, Path]:
    """Return the files that have no blob of equal content, compared in parallel. Raises OSError."""
    is_same: dict[str, bool] = {}

    def compare(name: str, stopped: threading.Event) -> None:
        blob = uploaded.get(name)
        is_same[name] = blob is not None and is_same_content(files[name], blob, stopped)

    _run_parallel(compare, list(files))
    return {name: path for name, path in files.items() if not is_same[name]}


def is_same_content(path: Path, blob: DatastoreBlob, stopped: threading.Event | None = None) -> bool:
    """Return whether a blob has a file's content; one without an MD5 counts as different. Raises OSError."""
    watch = _TransferMonitor(_ignore_bytes, stopped or threading.Event())
    return path.stat().st_size == blob.size and bool(blob.md5) and _compute_md5(path, watch) == blob.md5


class _TransferStopped(Exception):
    """Another transfer failed, or the user pressed Ctrl-C."""


@dataclass(frozen=True)
class _TransferMonitor:
    """The progress callback and the stop signal of a transfer."""

    on_bytes: ByteCallback
    stopped: threading.Event

    def add_bytes(self, count: int) -> None:
        """Report transferred bytes. Raises _TransferStopped."""
        self.raise_if_stopped()
        self.on_bytes(count)

    def raise_if_stopped(self) -> None:
        if self.stopped.is_set():
            raise _TransferStopped


def _run_parallel(
    work: Callable[[Any, threading.Event], object], items: Sequence[Any], connections: int = CONNECTIONS
) -> None:
    """Process items in parallel; the first failure, or Ctrl-C, stops all."""
    parallel.run_parallel(work, items, min(connections, len(items)), grace_seconds=GRACE_SECONDS)


def _download_blob(blobs: DatastoreBlobs, blob: DatastoreBlob, path: Path, watch: _TransferMonitor) -> None:
    if path.is_file() and path.stat().st_size == blob.size and (not blob.md5 or _compute_md5(path, watch) == blob.md5):
        watch.add_bytes(blob.size)
        return
    part = path.with_name(path.name + PART_SUFFIX)
    try:
        _stream_blob(blobs, blob, part, watch)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _stream_blob(blobs: DatastoreBlobs, blob: DatastoreBlob, part: Path, watch: _TransferMonitor) -> None:
    """Download a blob completely. Raises StorageError."""
    size, digest = 0, hashlib.md5(usedforsecurity=False)
    with translate_errors(blobs.store), part.open("wb") as file:
        for piece in blobs.client.download_blob(blob.name).chunks():
            file.write(piece)
            digest.update(piece)
            size += len(piece)
            watch.add_bytes(len(piece))
    if size != blob.size or (blob.md5 and digest.digest() != blob.md5):
        why = f"{blob.name} changed during the download, or is incomplete"
        raise StorageError(why, code="not-whole", account=blobs.store.account)


def _upload_file(blobs: DatastoreBlobs, name: str, path: Path, watch: _TransferMonitor, connections: int) -> int:
    """Upload a file and return its size. Large files are not left to the SDK, whose threads delay the process's end."""
    size, content = path.stat().st_size, _make_content_settings(_compute_md5(path, watch))
    watch.raise_if_stopped()
    with translate_errors(blobs.store):
        if size <= SINGLE_REQUEST_BYTES:
            blobs.client.upload_blob(name, path.read_bytes(), overwrite=True, content_settings=content)
            watch.on_bytes(size)
        else:
            _upload_pieces(blobs.client.get_blob_client(name), path, size, content, watch, connections)
    return size


def _upload_pieces(
    blob: Any, path: Path, size: int, content: object, watch: _TransferMonitor, connections: int
) -> None:
    block_type: Any = importlib.import_module("azure.storage.blob").BlobBlock
    length = max(PIECE_BYTES, -(-size // MAX_PIECES))

    def upload_piece(start: int, stopped: threading.Event) -> None:
        watch.raise_if_stopped()
        with path.open("rb") as file:
            file.seek(start)
            piece = file.read(min(length, size - start))
        if stopped.is_set():
            raise _TransferStopped
        blob.stage_block(f"{start:016}", piece)
        watch.on_bytes(len(piece))

    starts = range(0, size, length)
    _run_parallel(upload_piece, starts, connections)
    watch.raise_if_stopped()
    blob.commit_block_list([block_type(f"{start:016}") for start in starts], content_settings=content)


def _make_content_settings(digest: bytes) -> object:
    from azure.storage.blob import ContentSettings

    return ContentSettings(content_md5=bytearray(digest))


def _compute_md5(path: Path, watch: _TransferMonitor) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        for piece in _iterate_pieces(file.read):
            watch.raise_if_stopped()
            digest.update(piece)
    return digest.digest()


def _iterate_pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := read(PIECE_BYTES):
        yield piece


def _make_relative_name(name: str, folder_name: str) -> str:
    """Return a blob's name relative to the folder. Raises StorageError if it would leave the folder."""
    relative = name.removeprefix(f"{folder_name.strip('/')}/") if folder_name.strip("/") else name
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or "\\" in relative:
        raise StorageError(f"{name} is outside of the downloaded folder", code="odd-name")
    return relative
