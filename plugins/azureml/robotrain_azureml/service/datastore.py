"""A datastore of a workspace: its place and its blobs.

It is opened with the secret that the workspace keeps for it, else with the caller's own sign-in. Needs
azure-storage-blob, which is imported when a container is opened.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robotrain_azure.arm import ArmClient
    from robotrain_azure.workspace import Workspace

API_VERSION = "2024-04-01"
NO_BLOBS_CODE = "no-blob-datastore"
BLOB_DATASTORE_TYPES = ("AzureBlob", "AzureDataLakeGen2")
"""Types with a blob endpoint."""
RETRIES = 3
READ_RETRIES = 1
"""Retries of a request that got no answer."""
TIMEOUTS = {"connection_timeout": 5, "read_timeout": 30}
LONGEST_PAUSE = 10.0


class StorageError(OSError):
    """A failed request to storage; the message has no full stop.

    `status`: HTTP status, 0 without an answer. `code`: storage's error code, one of `robotrain_azure.arm`, or
    NO_BLOBS_CODE. `account`: the storage account. `signed`: a key or signature was used, so the caller's roles do not
    matter.
    """

    def __init__(self, message: str, status: int = 0, code: str = "", account: str = "", signed: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.account = account
        self.signed = signed


@dataclass(frozen=True, slots=True)
class Datastore:
    """The place of a datastore."""

    workspace: Workspace
    name: str
    account: str
    container: str
    suffix: str
    """The domain of the cloud's storage."""
    keyed: bool
    """Whether the workspace keeps a secret for it."""

    @property
    def url(self) -> str:
        """The URL of its container."""
        return f"https://{self.account}.blob.{self.suffix}/{self.container}"

    @property
    def resource(self) -> str:
        """The id in Azure's resource manager."""
        return f"{self.workspace.resource}/datastores/{self.name}"


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

    def find_first(self, folder: str) -> DatastoreBlob | None:
        """Return any blob of a folder, or None, in one request."""
        with translate_errors(self.store):
            page = next(self.client.list_blobs(name_starts_with=_make_prefix(folder), results_per_page=1).by_page(), ())
            return next((DatastoreBlob(blob.name, blob.size) for blob in page), None)

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


def get_datastore(arm: ArmClient, workspace: Workspace, name: str) -> Datastore:
    """Return a datastore of a workspace. Raises ArmError, and StorageError if it holds no blobs."""
    properties = arm.get(f"{workspace.resource}/datastores/{name}", API_VERSION).get("properties") or {}
    kind, account = str(properties.get("datastoreType") or ""), str(properties.get("accountName") or "")
    container = str(properties.get("containerName") or properties.get("filesystem") or "")
    if kind not in BLOB_DATASTORE_TYPES or not account or not container:
        raise StorageError(f"the datastore {name} holds no blobs: its type is {kind or 'unknown'}", code=NO_BLOBS_CODE)
    secret = str((properties.get("credentials") or {}).get("credentialsType") or "None")
    suffix = str(properties.get("endpoint") or "core.windows.net")
    return Datastore(workspace, name, account, container, suffix, keyed=secret in ("AccountKey", "Sas"))


@contextmanager
def open_datastore(arm: ArmClient, datastore: Datastore, retries: int = RETRIES) -> Iterator[DatastoreBlobs]:
    """Open the blobs of a datastore, for up to ten connections. Raises ArmError if its secret cannot be read."""
    from robotrain_azure.credential import get_shared_credential

    blob: Any = importlib.import_module("azure.storage.blob")
    secret = _fetch_secret(arm, datastore) if datastore.keyed else get_shared_credential()
    options = {"credential": secret, "transport": _make_transport(), **make_retry_options(retries)}
    with blob.ContainerClient.from_container_url(datastore.url, **options) as client:
        yield DatastoreBlobs(datastore, client)


def make_retry_options(retries: int = RETRIES) -> dict[str, Any]:
    """Return options with which a storage client gives up within seconds. Each client needs its own."""
    policy: Any = importlib.import_module("azure.storage.blob").LinearRetry
    return {
        "retry_policy": policy(
            backoff=1, retry_total=retries, retry_read=min(READ_RETRIES, retries), random_jitter_range=1
        )
    }


@contextmanager
def translate_errors(datastore: Datastore) -> Iterator[None]:
    """Raise the SDK's errors as StorageError."""
    try:
        yield
    except importlib.import_module("azure.core.exceptions").AzureError as error:
        raise make_storage_error(error, datastore.account, datastore.keyed) from error


def make_storage_error(error: Exception, account: str, signed: bool = False) -> StorageError:
    """Return the StorageError for an error of the SDK."""
    from robotrain_azure.arm import SIGN_IN_REASON_PATTERN, SIGNED_OUT, UNREACHABLE, UNREACHED_PATTERN

    kinds = {base.__name__ for base in type(error).__mro__}
    status, code = int(getattr(error, "status_code", 0) or 0), _get_error_code(error)
    if status:
        answer = f"HTTP {status} {code}".rstrip()
        return StorageError(
            f"the storage account {account} refused the request ({answer})", status, code, account, signed
        )
    unreached, reason = re.search(UNREACHED_PATTERN, str(error)), re.search(SIGN_IN_REASON_PATTERN, str(error))
    if "ClientAuthenticationError" in kinds and (reason or not unreached):
        why = f" ({reason[0]})" if reason else ""
        return StorageError(f"you are not signed in to Azure{why}", code=SIGNED_OUT, account=account)
    why = unreached[0] if unreached else type(error).__name__
    return StorageError(f"the storage account {account} cannot be reached ({why})", code=UNREACHABLE, account=account)


def _get_error_code(error: Exception) -> str:
    """Return storage's error code; an answer to HEAD has it only in a header."""
    code = getattr(error, "error_code", None) or ""
    response = getattr(error, "response", None)
    return str(
        getattr(code, "value", code) or (response.headers.get("x-ms-error-code", "") if response is not None else "")
    )


def _fetch_secret(arm: ArmClient, datastore: Datastore) -> str:
    """Return the workspace's secret for the datastore: a signature or the account's key."""
    secrets = arm.post(f"{datastore.resource}/listSecrets", API_VERSION)
    return str(secrets.get("sasToken") or secrets.get("key") or "").removeprefix("?")


def _make_transport() -> Any:
    """Return the SDK's transport with shorter pauses between retries."""
    transports: Any = importlib.import_module("azure.core.pipeline.transport")

    class ImpatientTransport(transports.RequestsTransport):  # type: ignore[misc]
        def sleep(self, duration: float) -> None:
            super().sleep(min(duration, LONGEST_PAUSE))

    return ImpatientTransport(**TIMEOUTS)


def _make_prefix(folder: str) -> str:
    return f"{folder.strip('/')}/" if folder.strip("/") else ""
