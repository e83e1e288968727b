"""Upload and download of folders of a datastore, over several connections; the first failure, or Ctrl-C, stops all."""

import functools
import hashlib
import importlib
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from robotrain_azure.storage import StorageError
from robotrain_sources import parallel

from robotrain_azureml.service.datastore import DatastoreBlob, DatastoreBlobs, translate_errors

CONNECTIONS = 8
PIECE_BYTES = 4 << 20
SINGLE_REQUEST_BYTES = 2 * PIECE_BYTES
"""Files up to this size are sent in one request."""
MAX_PIECES = 50_000
"""The most pieces of one blob."""
GRACE_SECONDS = 1.0
"""How long stopped transfers are waited for."""
ByteCallback = Callable[[int], object]
"""Called with a number of bytes."""
_run_parallel = functools.partial(parallel.run_parallel, grace_seconds=GRACE_SECONDS)


class _TransferStopped(Exception):
    """Another transfer failed, or the user pressed Ctrl-C."""


def _raise_if_stopped(stopped: threading.Event) -> None:
    if stopped.is_set():
        raise _TransferStopped


def download_blobs(blobs: DatastoreBlobs, listed: Iterable[DatastoreBlob], folder_name: str, to: Path) -> None:
    """Download blobs of a folder into the empty folder `to`. Raises StorageError, OSError."""
    targets = {to / _make_relative_name(blob.name, folder_name): blob for blob in listed}
    for folder in {path.parent for path in targets}:
        folder.mkdir(parents=True, exist_ok=True)

    def download(path: Path, stopped: threading.Event) -> None:
        blob, size, digest = targets[path], 0, hashlib.md5(usedforsecurity=False)
        with translate_errors(blobs.store), path.open("wb") as file:
            for piece in blobs.client.download_blob(blob.name).chunks():
                _raise_if_stopped(stopped)
                file.write(piece)
                digest.update(piece)
                size += len(piece)
        if size != blob.size or (blob.md5 and digest.digest() != blob.md5):
            why = f"{blob.name} changed during the download, or is incomplete"
            raise StorageError(why, code="not-whole", account=blobs.store.account)

    _run_parallel(download, targets, min(CONNECTIONS, len(targets)))


def _make_relative_name(name: str, folder_name: str) -> str:
    """Return a blob's name relative to the folder. Raises StorageError if it would leave the folder."""
    relative = name.removeprefix(f"{folder_name.strip('/')}/") if folder_name.strip("/") else name
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or "\\" in relative:
        raise StorageError(f"{name} is outside of the downloaded folder", code="odd-name")
    return relative


def find_differing_files(files: Mapping[str, Path], uploaded: Mapping[str, DatastoreBlob]) -> dict[str, Path]:
    """Return the files that have no blob of equal content; one without an MD5 counts as different. Raises OSError."""
    equal: set[str] = set()

    def compare(name: str, stopped: threading.Event) -> None:
        path, blob = files[name], uploaded.get(name)
        if blob and path.stat().st_size == blob.size and _compute_md5(path, stopped) == blob.md5:
            equal.add(name)

    _run_parallel(compare, files, min(CONNECTIONS, len(files)))
    return {name: path for name, path in files.items() if name not in equal}


def upload_files(
    blobs: DatastoreBlobs, files: Mapping[str, Path], folder_name: str, on_bytes: ByteCallback, on_file: ByteCallback
) -> None:
    """Upload files into a folder with their MD5, by name. `on_file` is called with the size of each complete file.

    Raises StorageError, OSError.
    """
    share = max(1, CONNECTIONS // max(1, len(files)))

    def upload(name: str, stopped: threading.Event) -> None:
        _upload_file(blobs, f"{folder_name.strip('/')}/{name}", files[name], on_bytes, stopped, share)
        on_file(files[name].stat().st_size)

    _run_parallel(upload, files, min(CONNECTIONS, len(files)))


def _upload_file(
    blobs: DatastoreBlobs, name: str, path: Path, on_bytes: ByteCallback, stopped: threading.Event, connections: int
) -> None:
    """Upload a file. Large ones are not left to the SDK, whose threads delay the process's end."""
    sdk: Any = importlib.import_module("azure.storage.blob")
    size, digest = path.stat().st_size, _compute_md5(path, stopped)
    content, length = sdk.ContentSettings(content_md5=bytearray(digest)), max(PIECE_BYTES, -(-size // MAX_PIECES))
    with translate_errors(blobs.store):
        if size <= SINGLE_REQUEST_BYTES:
            _raise_if_stopped(stopped)
            blobs.client.upload_blob(name, path.read_bytes(), overwrite=True, content_settings=content)
            on_bytes(size)
            return
        blob, starts = blobs.client.get_blob_client(name), range(0, size, length)

        def upload_piece(start: int, failed: threading.Event) -> None:
            with path.open("rb") as file:
                file.seek(start)
                piece = file.read(min(length, size - start))
            _raise_if_stopped(stopped)
            _raise_if_stopped(failed)
            blob.stage_block(f"{start:016}", piece)
            on_bytes(len(piece))

        _run_parallel(upload_piece, starts, min(connections, len(starts)))
        blob.commit_block_list([sdk.BlobBlock(f"{start:016}") for start in starts], content_settings=content)


def _compute_md5(path: Path, stopped: threading.Event) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            _raise_if_stopped(stopped)
            digest.update(piece)
    return digest.digest()
