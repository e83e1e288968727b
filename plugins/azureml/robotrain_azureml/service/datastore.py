"""Blobs of a workspace: those of its datastores, also whole folders, and single ones at signed URLs.

A datastore is opened with the secret that the workspace keeps for it, else with the caller's own sign-in; that needs
azure-storage-blob, which is imported when a container is opened. Messages never contain a signed URL.
"""

import contextlib
import functools
import hashlib
import importlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from robotrain_azure import arm as azure_arm
from robotrain_azure.arm import ArmClient, StorageError
from robotrain_azure.credential import get_shared_credential
from robotrain_azure.storage import Datastore
from robotrain_runtime.contract.deadline import DeadlineExceeded, read_pieces
from robotrain_sources import parallel

RETRIES = 3
READ_RETRIES = 1
"""Retries of a request that got no answer."""
TIMEOUTS = {"connection_timeout": 5, "read_timeout": 30}
SMALL_BYTES = 1 << 19
"""Of a file that is read at once, and of a page of a listing."""
RETRY_PAUSE = 1.0
"""Between two attempts, in seconds; a random part is added or taken away."""


@dataclass(frozen=True, slots=True)
class DatastoreBlob:
    """A blob."""

    name: str
    """The path from the root of the container."""
    size: int
    md5: bytes = b""
    """As uploaded; empty if it was not set."""


@dataclass(frozen=True)
class DatastoreBlobs:
    """The blobs of a datastore. Every method raises StorageError."""

    store: Datastore
    client: Any = field(repr=False)

    def list_blobs(self, folder: str) -> Iterator[DatastoreBlob]:
        """Yield the blobs of a folder, without entries for folders themselves."""
        with self._translate_errors():
            prefix = f"{folder.strip('/')}/".lstrip("/")
            pages = self.client.list_blobs(name_starts_with=prefix, include=["metadata"]).by_page()
            for blob in (blob for page in read_pieces(pages, SMALL_BYTES) for blob in page):
                if (blob.metadata or {}).get("hdi_isfolder") != "true":
                    yield DatastoreBlob(blob.name, blob.size, bytes(blob.content_settings.content_md5 or b""))

    def has_blob(self, name: str) -> bool:
        """Return whether a blob exists."""
        with self._translate_errors():
            return bool(self.client.get_blob_client(name).exists())

    def read_blob(self, name: str) -> bytes:
        """Return the content of a blob."""
        with self._translate_errors():
            return b"".join(self.read_pieces(name, SMALL_BYTES))

    def read_pieces(self, name: str, size: int) -> Iterator[bytes]:
        """Yield the content of a blob of at most `size` bytes. Raise what the SDK raises, and DeadlineExceeded."""
        return read_pieces(_download(self.client.get_blob_client(name)), min(size, PIECE_BYTES))

    def write_blob(self, name: str, content: bytes) -> None:
        """Write a blob atomically."""
        with self._translate_errors():
            self.client.upload_blob(name, content, overwrite=True)

    def _translate_errors(self) -> AbstractContextManager[None]:
        return translate_errors(self.store.account, self.store.keyed)


def _download(client: Any, **span: int) -> Iterator[bytes]:
    """Yield the content of a blob, or a span of it; the first piece is requested before the others are."""
    yield from client.download_blob(**span).chunks()


@contextlib.contextmanager
def open_datastore(arm: ArmClient, datastore: Datastore, retries: int = RETRIES) -> Iterator[DatastoreBlobs]:
    """Open the blobs of a datastore, for up to ten connections. Raises ArmError if its secret cannot be read."""
    blob: Any = importlib.import_module("azure.storage.blob")
    secret: Any = None if datastore.keyed else get_shared_credential()
    if datastore.keyed:  # with a signature or the account's key
        secrets = arm.post(f"{datastore.resource}/listSecrets")
        secret = (secrets.get_text("sasToken") or secrets.get_text("key")).removeprefix("?")
    options = {**TIMEOUTS, **make_retry_options(retries), "max_single_get_size": PIECE_BYTES}
    options |= {"max_single_put_size": PIECE_BYTES, "max_block_size": PIECE_BYTES}
    with blob.ContainerClient.from_container_url(datastore.url, credential=secret, **options) as client:
        yield DatastoreBlobs(datastore, client)


def make_retry_options(retries: int = RETRIES) -> dict[str, Any]:
    """Return options with which a storage client gives up within seconds. Each client needs its own."""
    policy: Any = importlib.import_module("azure.storage.blob").LinearRetry
    read_retries = min(READ_RETRIES, retries)
    return {"retry_policy": policy(RETRY_PAUSE, retries, retry_read=read_retries, random_jitter_range=RETRY_PAUSE)}


@contextlib.contextmanager
def translate_errors(account: str, is_signed: bool) -> Iterator[None]:
    """Raise the SDK's errors as StorageError, without their text, which may hold a signed URL."""
    try:
        yield
    except importlib.import_module("azure.core.exceptions").AzureError as error:
        if status := int(getattr(error, "status_code", 0) or 0):
            raise make_refused_error(account, status, get_error_code(error), is_signed) from None
        no_answer = azure_arm.make_no_answer_error(error, f"the storage account {account}")
        raise StorageError(str(no_answer), code=no_answer.code, account=account, signed=is_signed) from None
    except DeadlineExceeded:  # to ask again would take as long
        raise StorageError(
            f"the storage account {account} sends almost nothing", code="too-slow", account=account
        ) from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):  # the SDK checks no answer
        reason = f"the answer of the storage account {account} cannot be read"
        raise StorageError(reason, code=azure_arm.UNREADABLE, account=account) from None


def make_refused_error(account: str, status: int, code: str, is_signed: bool) -> StorageError:
    """Return the error for an answer with a status of 400 or more."""
    status_text = f"HTTP {status} {code}".rstrip()
    return StorageError(
        f"the storage account {account} refused the request ({status_text})", status, code, account, is_signed
    )


def get_error_code(error: BaseException) -> str:
    """Return storage's error code from an error of the SDK; an answer to HEAD has it only in a header."""
    code = getattr(error, "error_code", None) or ""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return str(getattr(code, "value", code) or headers.get("x-ms-error-code", ""))


CONNECTIONS = 8
PIECE_BYTES = 8 << 20
"""A file that is larger is sent and read in such pieces."""
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


def download_blobs(blobs: DatastoreBlobs, folder_blobs: Iterable[DatastoreBlob], folder_name: str, to: Path) -> None:
    """Download blobs of a folder into the empty folder `to`. Raises StorageError, OSError."""
    targets = {}
    for blob in folder_blobs:
        relative = blob.name.removeprefix(f"{folder_name.strip('/')}/") if folder_name.strip("/") else blob.name
        parts = PurePosixPath(relative).parts
        if not parts or relative.startswith("/") or ".." in parts or "\\" in relative:
            raise StorageError(f"{blob.name} is outside of the downloaded folder", code="odd-name")
        targets[to / relative] = blob
    for folder in {path.parent for path in targets}:
        folder.mkdir(parents=True, exist_ok=True)

    def download(path: Path, stopped: threading.Event) -> None:
        blob = targets[path]
        size = 0
        digest = hashlib.md5(usedforsecurity=False)
        with translate_errors(blobs.store.account, blobs.store.keyed), path.open("wb") as file:
            for piece in blobs.read_pieces(blob.name, blob.size):
                _raise_if_stopped(stopped)
                file.write(piece)
                digest.update(piece)
                size += len(piece)
        if size != blob.size or (blob.md5 and digest.digest() != blob.md5):
            reason = f"{blob.name} changed during the download, or is incomplete"
            raise StorageError(reason, code="not-whole", account=blobs.store.account)

    _run_parallel(download, targets, min(CONNECTIONS, len(targets)))


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

    def upload(name: str, stopped: threading.Event) -> None:
        path, sent = files[name], 0
        settings: Any = importlib.import_module("azure.storage.blob").ContentSettings

        def report(current: int, total: int) -> None:
            nonlocal sent
            _raise_if_stopped(stopped)
            on_bytes(current - sent)
            sent = current

        md5 = bytearray(_compute_md5(path, stopped))
        with translate_errors(blobs.store.account, blobs.store.keyed), path.open("rb") as file:
            blobs.client.upload_blob(
                f"{folder_name.strip('/')}/{name}",
                file,
                length=path.stat().st_size,
                overwrite=True,
                max_concurrency=1,  # files go side by side; the SDK's own threads delay the end of the process
                content_settings=settings(content_md5=md5),
                progress_hook=report,
            )
        on_file(path.stat().st_size)

    _run_parallel(upload, files, min(CONNECTIONS, len(files)))


def _compute_md5(path: Path, stopped: threading.Event) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            _raise_if_stopped(stopped)
            digest.update(piece)
    return digest.digest()


class SignedBlob:
    """A blob at a signed URL, which may not exist. Methods raise StorageError."""

    def __init__(self, url: str) -> None:
        self._account = get_account_name(url) or urlsplit(url).hostname or ""
        blob: Any = importlib.import_module("azure.storage.blob").BlobClient
        self._client = blob.from_blob_url(url, **TIMEOUTS, **make_retry_options(), max_single_get_size=PIECE_BYTES)

    def find_size(self) -> int:
        """Return how many bytes it has; 0 if it does not exist."""
        with self._translate_errors():
            return int(self._client.get_blob_properties().size)
        return 0

    def read(self, start: int, length: int) -> bytes:
        """Return at most so many bytes from `start`; none if there are none there."""
        with self._translate_errors():
            return b"".join(read_pieces(_download(self._client, offset=start, length=length), length))
        return b""

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            with translate_errors(self._account, True):
                yield
        except StorageError as error:
            if error.status not in (NOT_FOUND, RANGE_NOT_SATISFIABLE):
                raise


NOT_FOUND, RANGE_NOT_SATISFIABLE = 404, 416


def get_account_name(url: str) -> str:
    """Return the storage account of a blob URL; empty for other URLs."""
    match = re.match(r"https?://([a-z0-9-]+)(?:\.z\d+)?\.(?:blob|dfs)\.", url, re.IGNORECASE)
    return match[1].lower().removesuffix("-secondary") if match else ""
