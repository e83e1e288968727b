"""Blobs of a workspace: those of its datastores, and single ones at signed URLs.

A datastore is opened with the secret that the workspace keeps for it, else with the caller's own sign-in; that needs
azure-storage-blob, which is imported when a container is opened. Messages never contain a signed URL.
"""

import contextlib
import functools
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from robotrain_azure import arm as azure_arm
from robotrain_azure.arm import ArmClient
from robotrain_azure.credential import get_shared_credential
from robotrain_azure.storage import Datastore, StorageError

RETRIES = 3
READ_RETRIES = 1
"""Retries of a request that got no answer."""
TIMEOUTS = {"connection_timeout": 5, "read_timeout": 30}
LONGEST_PAUSE = 10.0


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
        with translate_errors(self.store):
            for blob in self.client.list_blobs(name_starts_with=_make_prefix(folder), include=["metadata"]):
                if (blob.metadata or {}).get("hdi_isfolder") != "true":
                    yield DatastoreBlob(blob.name, blob.size, bytes(blob.content_settings.content_md5 or b""))

    def has_blob(self, name: str) -> bool:
        """Return whether a blob exists."""
        with translate_errors(self.store):
            return bool(self.client.get_blob_client(name).exists())

    def read_blob(self, name: str) -> bytes:
        """Return the content of a blob."""
        with translate_errors(self.store):
            return bytes(self.client.download_blob(name).readall())

    def write_blob(self, name: str, content: bytes) -> None:
        """Write a blob atomically."""
        with translate_errors(self.store):
            self.client.upload_blob(name, content, overwrite=True)


@contextlib.contextmanager
def open_datastore(arm: ArmClient, datastore: Datastore, retries: int = RETRIES) -> Iterator[DatastoreBlobs]:
    """Open the blobs of a datastore, for up to ten connections. Raises ArmError if its secret cannot be read."""
    blob: Any = importlib.import_module("azure.storage.blob")
    secret: Any = None if datastore.keyed else get_shared_credential()
    if datastore.keyed:  # with a signature or the account's key
        secrets = arm.post(f"{datastore.resource}/listSecrets")
        secret = str(secrets.get("sasToken") or secrets.get("key") or "").removeprefix("?")
    options = {"credential": secret, "transport": _make_transport(), **make_retry_options(retries)}
    with blob.ContainerClient.from_container_url(datastore.url, **options) as client:
        yield DatastoreBlobs(datastore, client)


def make_retry_options(retries: int = RETRIES) -> dict[str, Any]:
    """Return options with which a storage client gives up within seconds. Each client needs its own."""
    policy: Any = importlib.import_module("azure.storage.blob").LinearRetry
    reads = min(READ_RETRIES, retries)
    return {"retry_policy": policy(backoff=1, retry_total=retries, retry_read=reads, random_jitter_range=1)}


@contextlib.contextmanager
def translate_errors(datastore: Datastore) -> Iterator[None]:
    """Raise the SDK's errors as StorageError."""
    try:
        yield
    except importlib.import_module("azure.core.exceptions").AzureError as error:
        account = datastore.account
        if status := int(getattr(error, "status_code", 0) or 0):
            raise make_refused_error(account, status, get_error_code(error), datastore.keyed) from error
        no_answer = azure_arm.make_no_answer_error(error, f"the storage account {account}")
        raise StorageError(str(no_answer), code=no_answer.code, account=account) from error


def make_refused_error(account: str, status: int, code: str, signed: bool) -> StorageError:
    """Return the error for an answer with a status of 400 or more."""
    answer = f"HTTP {status} {code}".rstrip()
    return StorageError(f"the storage account {account} refused the request ({answer})", status, code, account, signed)


def get_error_code(error: BaseException) -> str:
    """Return storage's error code from an error of the SDK; an answer to HEAD has it only in a header."""
    code = getattr(error, "error_code", None) or ""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return str(getattr(code, "value", code) or headers.get("x-ms-error-code", ""))


def _make_transport() -> Any:
    """Return the SDK's transport with shorter pauses between retries."""
    transports: Any = importlib.import_module("azure.core.pipeline.transport")

    class ImpatientTransport(transports.RequestsTransport):  # type: ignore[misc]
        def sleep(self, duration: float) -> None:
            super().sleep(min(duration, LONGEST_PAUSE))

    return ImpatientTransport(**TIMEOUTS)


def _make_prefix(folder: str) -> str:
    return f"{folder.strip('/')}/" if folder.strip("/") else ""


SIGNED_TIMEOUTS = {"connection_timeout": 5, "read_timeout": 20}
FULL_CONTENT, NOT_FOUND, RANGE_NOT_SATISFIABLE, EXPIRED_STATUSES = 200, 404, 416, (401, 403)
PIECE_BYTES = 1 << 18


def fetch_blob_size(url: str) -> int:
    """Return the size of a blob in bytes; 0 if it does not exist yet. Raises StorageError."""
    with contextlib.closing(_send_request("HEAD", url)) as answer:
        return 0 if answer.status_code == NOT_FOUND else int(answer.headers.get("Content-Length") or 0)


def open_blob_range(url: str, start: int, end: int | None = None) -> "BlobRange":
    """Open the bytes from `start` to `end`, exclusive; close it after use. Raises StorageError."""
    header = f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"
    answer = _send_request("GET", url, {"Range": header})
    if answer.status_code == FULL_CONTENT and start:
        answer.close()
        why = f"the storage account {_get_account(url)} sent the whole blob instead of the requested range"
        raise StorageError(why, FULL_CONTENT, signed=True)
    return BlobRange(answer, url)


class BlobRange:
    """A part of a blob. `length` is that of the whole blob; None if it is not known."""

    def __init__(self, answer: Any, url: str) -> None:
        self._answer, self._url = answer, url
        match = re.fullmatch(r"bytes .*/(\d+)", answer.headers.get("Content-Range") or "")
        full_length = answer.headers.get("Content-Length") if answer.status_code == FULL_CONTENT else None
        self.length = int(match[1]) if match else int(full_length) if full_length else None

    def iterate_pieces(self) -> Iterator[bytes]:
        """Yield the bytes; nothing if the range is empty. Raises StorageError."""
        if self._answer.status_code in (NOT_FOUND, RANGE_NOT_SATISFIABLE):
            return
        try:
            yield from self._answer.iter_raw()
        except Exception as error:  # of any underlying library
            raise _make_connection_error(error, self._url) from None

    def close(self) -> None:
        """Close the connection."""
        self._answer.close()


def _send_request(method: str, url: str, headers: dict[str, str] | None = None) -> Any:
    request = importlib.import_module("azure.core.rest").HttpRequest(method, url, headers=headers)
    try:
        answer = get_pipeline().send_request(request, stream=True, **SIGNED_TIMEOUTS)
    except Exception as error:
        raise _make_connection_error(error, url) from None  # its text contains the URL
    if answer.status_code < 400 or answer.status_code in (NOT_FOUND, RANGE_NOT_SATISFIABLE):
        return answer
    answer.close()
    code = str(answer.headers.get("x-ms-error-code") or "")
    raise make_refused_error(_get_account(url), answer.status_code, code, signed=True)


@functools.cache
def get_pipeline() -> Any:
    """Return the process-wide client without a sign-in, which reuses connections."""
    return azure_arm.make_pipeline("https://blob", connection_data_block_size=PIECE_BYTES)


def _get_account(url: str) -> str:
    return (urlsplit(url).hostname or "").partition(".")[0]


def _make_connection_error(error: Exception, url: str) -> StorageError:
    account = _get_account(url)
    reason = f"the storage account {account} cannot be reached ({type(error).__name__})"
    return StorageError(reason, code=azure_arm.UNREACHABLE, account=account, signed=True)
