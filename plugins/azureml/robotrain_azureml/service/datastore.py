"""A datastore of a workspace: where it lies, and its blobs, as whoever Azure ML would let in: by the secret that the
workspace keeps for it, else by the caller's own sign-in.

Needs azure-storage-blob, which is imported when a container is opened.
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
"""What answers as blobs do."""
RETRIES = 3
READ_RETRIES = 1
"""How often a request is made again that got no answer."""
TIMEOUTS = {"connection_timeout": 5, "read_timeout": 30}
LONGEST_PAUSE = 10.0


class StorageError(OSError):
    """Storage did not do it: the text says why, without a full stop. status: of the answer, 0 without one.

    code: storage's own word for it, or one of those of `robotrain_azure.arm`, or NO_BLOBS. account: which.
    signed: whether a signature or a key asked, which roles of the caller change nothing for.
    """

    def __init__(self, message: str, status: int = 0, code: str = "", account: str = "", signed: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.account = account
        self.signed = signed


@dataclass(frozen=True, slots=True)
class Datastore:
    """Where one lies. suffix: of the cloud's storage. keyed: whether the workspace keeps a secret for it."""

    workspace: Workspace
    name: str
    account: str
    container: str
    suffix: str
    keyed: bool

    @property
    def url(self) -> str:
        """Of its container."""
        return f"https://{self.account}.blob.{self.suffix}/{self.container}"

    @property
    def resource(self) -> str:
        """Its id in Azure's resource manager."""
        return f"{self.workspace.resource}/datastores/{self.name}"


@dataclass(frozen=True, slots=True)
class DatastoreBlob:
    """One. name: from the root of the container. size: in bytes. md5: as it was uploaded with; empty without one."""

    name: str
    size: int
    md5: bytes = b""


@dataclass(frozen=True)
class DatastoreBlobs:
    """The blobs of a datastore. Everything here raises StorageError."""

    store: Datastore
    client: Any = field(repr=False)

    def list_blobs(self, folder: str) -> Iterator[DatastoreBlob]:
        """Those of a folder, over all pages; what stands for a folder itself is left out."""
        with translate_errors(self.store):
            for one in self.client.list_blobs(name_starts_with=_make_prefix(folder), include=["metadata"]):
                if (one.metadata or {}).get("hdi_isfolder") != "true":
                    yield DatastoreBlob(one.name, one.size, bytes(one.content_settings.content_md5 or b""))

    def find_first(self, folder: str) -> DatastoreBlob | None:
        """One of a folder; None where there is none. One request."""
        with translate_errors(self.store):
            page = next(self.client.list_blobs(name_starts_with=_make_prefix(folder), results_per_page=1).by_page(), ())
            return next((DatastoreBlob(one.name, one.size) for one in page), None)

    def has_blob(self, name: str) -> bool:
        """Whether there is one of this name. One request."""
        with translate_errors(self.store):
            return bool(self.client.get_blob_client(name).exists())

    def read_blob(self, name: str) -> bytes:
        """All of one."""
        with translate_errors(self.store):
            return bytes(self.client.download_blob(name).readall())

    def write_blob(self, name: str, content: bytes) -> None:
        """Make it what one holds, in one step for every reader."""
        with translate_errors(self.store):
            self.client.upload_blob(name, content, overwrite=True)


def get_datastore(arm: ArmClient, workspace: Workspace, name: str) -> Datastore:
    """A datastore of a workspace. Raises ArmError, and StorageError for one that holds no blobs."""
    told = arm.get(f"{workspace.resource}/datastores/{name}", API_VERSION).get("properties") or {}
    kind, account = str(told.get("datastoreType") or ""), str(told.get("accountName") or "")
    container = str(told.get("containerName") or told.get("filesystem") or "")
    if kind not in BLOB_DATASTORE_TYPES or not account or not container:
        raise StorageError(
            f"the datastore {name} holds no blobs: it is of the kind {kind or 'unknown'}", code=NO_BLOBS_CODE
        )
    secret = str((told.get("credentials") or {}).get("credentialsType") or "None")
    suffix = str(told.get("endpoint") or "core.windows.net")
    return Datastore(workspace, name, account, container, suffix, keyed=secret in ("AccountKey", "Sas"))


@contextmanager
def open_datastore(arm: ArmClient, datastore: Datastore, retries: int = RETRIES) -> Iterator[DatastoreBlobs]:
    """Its blobs, for up to ten connections at once. Raises ArmError when the secret is not told."""
    from robotrain_azure.credential import get_shared_credential

    blob: Any = importlib.import_module("azure.storage.blob")
    secret = _fetch_secret(arm, datastore) if datastore.keyed else get_shared_credential()
    how = {"credential": secret, "transport": _make_transport(), **make_retry_options(retries)}
    with blob.ContainerClient.from_container_url(datastore.url, **how) as client:
        yield DatastoreBlobs(datastore, client)


def make_retry_options(retries: int = RETRIES) -> dict[str, Any]:
    """For a client of storage: it gives up in seconds. Each needs its own."""
    policy: Any = importlib.import_module("azure.storage.blob").LinearRetry
    return {
        "retry_policy": policy(
            backoff=1, retry_total=retries, retry_read=min(READ_RETRIES, retries), random_jitter_range=1
        )
    }


@contextmanager
def translate_errors(datastore: Datastore) -> Iterator[None]:
    """What the SDK raises within is raised as StorageError."""
    try:
        yield
    except importlib.import_module("azure.core.exceptions").AzureError as error:
        raise make_storage_error(error, datastore.account, datastore.keyed) from error


def make_storage_error(error: Exception, account: str, signed: bool = False) -> StorageError:
    """What an error of the SDK says. signed: as an error has it."""
    from robotrain_azure.arm import SIGN_IN_REASON_PATTERN, SIGNED_OUT, UNREACHABLE, UNREACHED_PATTERN

    kinds = {base.__name__ for base in type(error).__mro__}
    status, code = int(getattr(error, "status_code", 0) or 0), _get_error_code(error)
    if status:
        words = f"HTTP {status} {code}".rstrip()
        return StorageError(f"the storage account {account} refused ({words})", status, code, account, signed)
    unreached, reason = re.search(UNREACHED_PATTERN, str(error)), re.search(SIGN_IN_REASON_PATTERN, str(error))
    if "ClientAuthenticationError" in kinds and (reason or not unreached):
        why = f" ({reason[0]})" if reason else ""
        return StorageError(f"nobody is signed in to Azure here{why}", code=SIGNED_OUT, account=account)
    why = unreached[0] if unreached else type(error).__name__
    return StorageError(f"the storage account {account} cannot be reached ({why})", code=UNREACHABLE, account=account)


def _get_error_code(error: Exception) -> str:
    """Storage's own word; an answer to HEAD has it in a header alone."""
    said = getattr(error, "error_code", None) or ""
    answer = getattr(error, "response", None)
    return str(
        getattr(said, "value", said) or (answer.headers.get("x-ms-error-code", "") if answer is not None else "")
    )


def _fetch_secret(arm: ArmClient, datastore: Datastore) -> str:
    """What the workspace keeps: a signature, or the account's key."""
    kept = arm.post(f"{datastore.resource}/listSecrets", API_VERSION)
    return str(kept.get("sasToken") or kept.get("key") or "").removeprefix("?")


def _make_transport() -> Any:
    """The SDK's own, which waits no longer than a person would."""
    transports: Any = importlib.import_module("azure.core.pipeline.transport")

    class Transport(transports.RequestsTransport):  # type: ignore[misc]
        def sleep(self, duration: float) -> None:
            super().sleep(min(duration, LONGEST_PAUSE))

    return Transport(**TIMEOUTS)


def _make_prefix(folder: str) -> str:
    return f"{folder.strip('/')}/" if folder.strip("/") else ""
