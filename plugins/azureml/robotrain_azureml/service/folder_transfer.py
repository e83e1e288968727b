"""Upload and download of folders of a datastore, over several connections. Complete files are skipped."""

import contextlib
import hashlib
import importlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
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
        _download_blob(blobs, *pair, _make_counter(on_bytes, stopped))

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
        name, path = f"{folder_name.strip('/')}/{pair[0]}", pair[1]
        on_file(_upload_file(blobs, name, path, _make_counter(on_bytes, stopped), share))

    _run_parallel(upload, list(files.items()))


def find_differing_files(files: Mapping[str, Path], uploaded: Mapping[str, DatastoreBlob]) -> dict[str, Path]:
    """Return the files that have no blob of equal content; one without an MD5 counts as different. Raises OSError."""
    equal: set[str] = set()

    def compare(name: str, stopped: threading.Event) -> None:
        path, blob = files[name], uploaded.get(name)
        is_same_size = blob is not None and path.stat().st_size == blob.size
        if blob and is_same_size and _compute_md5(path, _make_counter(_ignore_bytes, stopped)) == blob.md5:
            equal.add(name)

    _run_parallel(compare, list(files))
    return {name: path for name, path in files.items() if name not in equal}


class _TransferStopped(Exception):
    """Another transfer failed, or the user pressed Ctrl-C."""


def _make_counter(on_bytes: ByteCallback, stopped: threading.Event) -> ByteCallback:
    """Return a callback that also raises _TransferStopped if the transfer was stopped."""

    def count_bytes(count: int) -> None:
        if stopped.is_set():
            raise _TransferStopped
        on_bytes(count)

    return count_bytes


def _run_parallel(
    work: Callable[[Any, threading.Event], object], items: Sequence[Any], connections: int = CONNECTIONS
) -> None:
    """Process items in parallel; the first failure, or Ctrl-C, stops all."""
    parallel.run_parallel(work, items, min(connections, len(items)), grace_seconds=GRACE_SECONDS)


def _download_blob(blobs: DatastoreBlobs, blob: DatastoreBlob, path: Path, count_bytes: ByteCallback) -> None:
    is_same_size = path.is_file() and path.stat().st_size == blob.size
    if is_same_size and (not blob.md5 or _compute_md5(path, count_bytes) == blob.md5):
        count_bytes(blob.size)
        return
    part = path.with_name(path.name + PART_SUFFIX)
    try:
        _stream_blob(blobs, blob, part, count_bytes)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _stream_blob(blobs: DatastoreBlobs, blob: DatastoreBlob, part: Path, count_bytes: ByteCallback) -> None:
    size, digest = 0, hashlib.md5(usedforsecurity=False)
    with translate_errors(blobs.store), part.open("wb") as file:
        for piece in blobs.client.download_blob(blob.name).chunks():
            file.write(piece)
            digest.update(piece)
            size += len(piece)
            count_bytes(len(piece))
    if size != blob.size or (blob.md5 and digest.digest() != blob.md5):
        why = f"{blob.name} changed during the download, or is incomplete"
        raise StorageError(why, code="not-whole", account=blobs.store.account)


def _upload_file(blobs: DatastoreBlobs, name: str, path: Path, count_bytes: ByteCallback, connections: int) -> int:
    """Upload a file and return its size. Large files are not left to the SDK, whose threads delay the process's end."""
    sdk: Any = importlib.import_module("azure.storage.blob")
    size, digest = path.stat().st_size, _compute_md5(path, count_bytes)
    content, length = sdk.ContentSettings(content_md5=bytearray(digest)), max(PIECE_BYTES, -(-size // MAX_PIECES))
    count_bytes(0)
    with translate_errors(blobs.store):
        if size <= SINGLE_REQUEST_BYTES:
            blobs.client.upload_blob(name, path.read_bytes(), overwrite=True, content_settings=content)
            count_bytes(size)
            return size
        blob, starts = blobs.client.get_blob_client(name), range(0, size, length)

        def upload_piece(start: int, stopped: threading.Event) -> None:
            with path.open("rb") as file:
                file.seek(start)
                piece = file.read(min(length, size - start))
            _make_counter(count_bytes, stopped)(0)
            blob.stage_block(f"{start:016}", piece)
            count_bytes(len(piece))

        _run_parallel(upload_piece, starts, connections)
        blob.commit_block_list([sdk.BlobBlock(f"{start:016}") for start in starts], content_settings=content)
    return size


def _compute_md5(path: Path, count_bytes: ByteCallback) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            count_bytes(0)
            digest.update(piece)
    return digest.digest()


def _make_relative_name(name: str, folder_name: str) -> str:
    """Return a blob's name relative to the folder. Raises StorageError if it would leave the folder."""
    relative = name.removeprefix(f"{folder_name.strip('/')}/") if folder_name.strip("/") else name
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or "\\" in relative:
        raise StorageError(f"{name} is outside of the downloaded folder", code="odd-name")
    return relative
