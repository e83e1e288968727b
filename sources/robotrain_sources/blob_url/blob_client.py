"""The blobs below a prefix, through Azure's SDK: listing, reading, uploading and deleting."""

import base64
import contextlib
import gc
import importlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from robotrain_runtime.contract.deadline import read_pieces

from robotrain_sources.blob_url.identity import BlobIdentity
from robotrain_sources.blob_url.reference import HOST, BlobPrefix

RUN_METADATA, SUBMISSION_METADATA, TRACKING_METADATA = "robotrain_run", "robotrain_submission", "robotrain_tracking"
"""Metadata keys of each blob that say what wrote it."""
BLOCK_SIZE = 4 << 20
PARALLEL_FILES, PARALLEL_BLOCKS = 4, 4
"""Files at a time, and blocks of each at a time: at most 80 MiB in memory."""
PAGE_SIZE, PAGE_BYTES = 5000, 1 << 20
"""Blobs of a page, and about as many bytes."""
SDK_TIMEOUTS = {
    "retry_total": 3,
    "initial_backoff": 1,
    "increment_base": 2,
    "connection_timeout": 10,
    "read_timeout": 60,
}
SHORT_TIMEOUTS = {"retry_total": 1, "initial_backoff": 1, "connection_timeout": 10, "read_timeout": 20}
"""With its defaults the SDK takes 81 seconds for a host name that cannot be resolved."""
MEMORY_LIMITS = {
    "max_single_put_size": BLOCK_SIZE,
    "max_block_size": BLOCK_SIZE,
    "min_large_block_upload_threshold": BLOCK_SIZE,
}


@dataclass(frozen=True, slots=True)
class BlobAuthor:
    """What wrote a blob; `submission` and `tracking` as in CheckpointManifest."""

    run: str = ""
    """Empty if it was not a run of robotrain."""
    submission: str = ""
    tracking: str = ""

    @property
    def metadata(self) -> dict[str, str] | None:
        """Metadata of the blob, quoted as headers allow few characters; None without an author."""
        fields = {
            RUN_METADATA: self.run,
            SUBMISSION_METADATA: quote(self.submission),
            TRACKING_METADATA: quote(self.tracking),
        }
        return {name: field_value for name, field_value in fields.items() if field_value} or None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedBlob:
    """A blob in a listing."""

    name: str
    """Below the prefix."""
    size: int
    etag: str
    md5: bytes = b""
    """Empty where the service has none."""
    is_folder: bool = False
    """Marked as a folder by the service."""
    author: BlobAuthor = BlobAuthor()


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobUpload:
    """A file to upload."""

    name: str
    file: Path
    size: int
    md5: bytes


def open_container(prefix: BlobPrefix, identity: BlobIdentity, *, short_timeouts: bool) -> Any:
    """Return the SDK's client of a container; `short_timeouts`: a user waits."""
    return importlib.import_module("azure.storage.blob").ContainerClient(
        f"https://{prefix.account}{HOST}",
        prefix.container,
        identity.get_sdk_credential(prefix.account),
        **(SHORT_TIMEOUTS if short_timeouts else SDK_TIMEOUTS),
        **MEMORY_LIMITS,
    )


class BlobContainer:
    """The blobs below a prefix, as one identity writes them. Methods raise what the SDK raises."""

    def __init__(self, prefix: BlobPrefix, identity: BlobIdentity, *, short_timeouts: bool = False) -> None:
        self._prefix = prefix.prefix
        self._client = open_container(prefix, identity, short_timeouts=short_timeouts)

    def list_below(self, folder: str = "") -> dict[str, ListedBlob]:
        """Return every blob below a folder of the prefix, by its name there, without folder markers."""
        start = "/".join(filter(None, (self._prefix, folder))) + "/"
        return {blob.name: blob for blob in list_blobs(self._client, start) if blob.name and not blob.is_folder}

    def read_blob(self, name: str) -> bytes:
        """Return the content of a small blob."""
        blob_bytes: bytes = self._get_blob_client(name).download_blob().readall()
        return blob_bytes

    def upload_files(self, uploads: Iterable[BlobUpload], folder: str, author: BlobAuthor) -> None:
        """Upload files below a folder of the prefix. Raise the first failure."""
        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            for future in [pool.submit(self._upload_file, file, f"{folder}/{file.name}", author) for file in uploads]:
                future.result()

    def write_blob(self, name: str, content: bytes, md5: bytes, author: BlobAuthor) -> None:
        """Write a new small blob. Raise ResourceExistsError if it exists."""
        self._upload_content(name, content, len(content), md5, author, overwrite=False)

    def delete_blobs(self, blob_names: Iterable[str]) -> None:
        """Delete blobs; missing ones are ignored."""
        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            for future in [pool.submit(self._delete_blob, name) for name in blob_names]:
                future.result()

    def check_access(self) -> None:
        """Write an empty blob and delete it."""
        name = f".robotrain-{os.urandom(8).hex()}"
        self._upload_content(
            name, b"", 0, bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e"), BlobAuthor(), overwrite=True
        )
        self._delete_blob(name)

    def _upload_file(self, upload: BlobUpload, name: str, author: BlobAuthor) -> None:
        with upload.file.open("rb") as file:
            self._upload_content(name, file, upload.size, upload.md5, author, overwrite=True)

    def _upload_content(
        self, name: str, file_or_bytes: Any, size: int, md5: bytes, author: BlobAuthor, overwrite: bool
    ) -> None:
        settings = importlib.import_module("azure.storage.blob").ContentSettings
        self._get_blob_client(name).upload_blob(
            file_or_bytes,
            length=size,
            overwrite=overwrite,
            validate_content=True,  # the service checks the MD5 of each request
            max_concurrency=PARALLEL_BLOCKS,
            content_settings=settings(content_type="application/octet-stream", content_md5=bytearray(md5)),
            metadata=author.metadata,
        )

    def _delete_blob(self, name: str) -> None:
        core: Any = importlib.import_module("azure.core.exceptions")
        with contextlib.suppress(core.ResourceNotFoundError):
            self._get_blob_client(name).delete_blob(delete_snapshots="include")

    def _get_blob_client(self, name: str) -> Any:
        return self._client.get_blob_client(f"{self._prefix}/{name}")


class _PageArrived(Exception):
    """A page of a listing, before the SDK makes objects of all properties of each blob."""


def list_blobs(client: Any, start: str) -> Iterator[ListedBlob]:
    """Yield the blobs whose names begin with `start`, named by the rest, page by page. Raise what the SDK raises.

    obstore's listings have no MD5, which pins need. The SDK signs in, retries and reports errors; its objects would
    take 0.3 ms of CPU time a blob, of these 0.02.
    """
    body, marker = b"", None

    def take_page(response: Any) -> None:
        nonlocal body
        if response.http_response.status_code == HTTPStatus.OK:
            body = response.http_response.body()
            raise _PageArrived

    options = {"include": ["metadata"], "results_per_page": PAGE_SIZE, "raw_response_hook": take_page}
    while True:
        with contextlib.suppress(_PageArrived):
            next(read_pieces(client.list_blobs(name_starts_with=start, **options).by_page(marker), PAGE_BYTES))
        page = ElementTree.fromstring(body)
        gc.collect(1)  # the SDK leaves its answers in circles, a MiB each
        yield from (_parse_blob(blob, start) for blob in page.iterfind("Blobs/Blob"))
        if not (marker := page.findtext("NextMarker")):
            return


def _parse_blob(blob: ElementTree.Element, start: str) -> ListedBlob:
    fields = {field.tag: field for field in blob}
    properties = {field.tag: field.text or "" for field in fields["Properties"]}
    metadata = {field.tag: field.text or "" for field in fields.get("Metadata", ())}
    name = fields["Name"].text or ""
    return ListedBlob(
        name=(unquote(name) if fields["Name"].get("Encoded") == "true" else name).removeprefix(start),
        size=int(properties["Content-Length"]),
        etag=properties["Etag"],
        md5=base64.b64decode(properties.get("Content-MD5", "")),
        is_folder=metadata.get("hdi_isfolder") == "true",
        author=BlobAuthor(
            metadata.get(RUN_METADATA, ""),
            unquote(metadata.get(SUBMISSION_METADATA, "")),
            unquote(metadata.get(TRACKING_METADATA, "")),
        ),
    )
