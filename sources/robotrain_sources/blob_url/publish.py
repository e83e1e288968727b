"""The publish program of the data environment: uploads checkpoints below a blob prefix, their manifest last.

Run as `python -m robotrain_sources.blob_url.publish URL [--credential FILE] [--way TEXT]`.
"""

import argparse
import base64
import contextlib
import dataclasses
import hashlib
import importlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest
from robotrain_runtime.contract.failure import PermanentError
from robotrain_runtime.process.helper_process import serve_requests

from robotrain_sources.blob_url import errors, identity
from robotrain_sources.blob_url.errors import UploadMismatch
from robotrain_sources.blob_url.identity import BlobIdentity
from robotrain_sources.blob_url.reference import HOST, BlobPrefix, parse_blob_url
from robotrain_sources.blob_url.target import LOOK, PUT, TRIM
from robotrain_sources.fetching.errors import FetchError

RUN_METADATA, SUBMISSION_METADATA, TRACKING_METADATA = "robotrain_run", "robotrain_submission", "robotrain_tracking"
"""Metadata keys of each blob that say what wrote it."""
BLOCK_SIZE = 4 << 20
PARALLEL_FILES, PARALLEL_BLOCKS = 4, 4
"""Files at a time, and blocks of each at a time: at most 80 MiB in memory."""
PAGE_SIZE = 5000
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
        values = {
            RUN_METADATA: self.run,
            SUBMISSION_METADATA: quote(self.submission),
            TRACKING_METADATA: quote(self.tracking),
        }
        return {name: value for name, value in values.items() if value} or None


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
        content: bytes = self._get_blob_client(name).download_blob().readall()
        return content

    def upload_files(self, uploads: Iterable[BlobUpload], folder: str, author: BlobAuthor) -> None:
        """Upload files below a folder of the prefix. Raise the first failure."""
        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            for future in [pool.submit(self._upload_file, file, f"{folder}/{file.name}", author) for file in uploads]:
                future.result()

    def write_blob(self, name: str, content: bytes, md5: bytes, author: BlobAuthor) -> None:
        """Write a new small blob. Raise ResourceExistsError if it exists."""
        self._upload_content(name, content, len(content), md5, author, overwrite=False)

    def delete_blobs(self, names: Iterable[str]) -> None:
        """Delete blobs; missing ones are ignored."""
        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            for future in [pool.submit(self._delete_blob, name) for name in names]:
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
        self, name: str, content: Any, size: int, md5: bytes, author: BlobAuthor, overwrite: bool
    ) -> None:
        settings = importlib.import_module("azure.storage.blob").ContentSettings
        self._get_blob_client(name).upload_blob(
            content,
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

    The SDK signs in, retries and reports errors; its objects would take 0.3 ms of CPU time a blob, of these 0.02.
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
            next(client.list_blobs(name_starts_with=start, **options).by_page(marker))
        page = ElementTree.fromstring(body)
        yield from (_parse_blob(blob, start) for blob in page.iterfind("Blobs/Blob"))
        if not (marker := page.findtext("NextMarker")):
            return


def _parse_blob(blob: ElementTree.Element, start: str) -> ListedBlob:
    fields = {field.tag: field for field in blob}
    properties = {one.tag: one.text or "" for one in fields["Properties"]}
    metadata = {one.tag: one.text or "" for one in fields.get("Metadata", ())}
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


CHUNK_SIZE = 1 << 20
_CHECKPOINT_PATH = r"(\d+)/(.+)"


class PublishedCheckpoints:
    """The checkpoints below a prefix, each in a folder named by its step."""

    def __init__(self, prefix: BlobPrefix, blobs: BlobContainer) -> None:
        self._prefix = prefix
        self.blobs = blobs

    def upload_checkpoint(self, folder: Path, digest: str) -> bool:
        """Upload the checkpoint in `folder` under its name, its manifest last. Return False if it was there already.

        Files that an earlier try uploaded are not sent again. Raise PermanentError if the name is taken or the folder
        changed since it was sealed; UploadMismatch; what the SDK raises.
        """
        name, manifest = folder.name, checkpoint.read_manifest(folder)
        if manifest is None or manifest.digest != digest:
            raise PermanentError(f"{folder} changed since it was sealed")
        blobs = self._list_own_blobs(name, manifest.run)
        uploads = {path: _make_upload(folder, path, sha256) for path, sha256 in manifest.files.items()}
        missing = [upload for path, upload in uploads.items() if not _is_uploaded(blobs.get(path), upload)]
        if MANIFEST in blobs:
            if not missing and self._read_manifest(name) == manifest:
                return False
            self.blobs.delete_blobs([f"{name}/{MANIFEST}"])
        self.blobs.delete_blobs(f"{name}/{path}" for path in blobs.keys() - uploads.keys() - {MANIFEST})
        author = BlobAuthor(manifest.run, manifest.submission, manifest.tracking)
        self.blobs.upload_files(missing, name, author)
        self._verify_uploads(name, uploads)
        self._write_manifest(name, folder, author)
        return True

    def delete_oldest(self, run: str, keep: int) -> list[str]:
        """Delete all but the last `keep` checkpoints of `run`, and parts of older ones; return the names deleted.

        The manifest goes first, so that no part of a checkpoint looks complete.
        """
        paths_by_name = self._list_paths_by_checkpoint(run)
        complete = sorted((name for name, paths in paths_by_name.items() if MANIFEST in paths), key=int)
        kept = complete[-max(keep, 1) :]
        removed = [name for name in sorted(paths_by_name, key=int) if kept and int(name) < int(kept[0])]
        for name in removed:
            self.blobs.delete_blobs([f"{name}/{MANIFEST}"] if name in complete else [])
            self.blobs.delete_blobs(f"{name}/{path}" for path in paths_by_name[name] - {MANIFEST})
        return [name for name in removed if name in complete]

    def list_authors(self) -> dict[str, BlobAuthor]:
        """Return the author of each complete checkpoint by its name; the name is empty for the prefix itself."""
        authors = {}
        for path, blob in self.blobs.list_below().items():
            name, _, file = path.rpartition("/")
            if file == MANIFEST and (not name or name.isdecimal()):
                manifest = None if blob.author.run else self._read_manifest(name)
                authors[name] = (
                    BlobAuthor(manifest.run, manifest.submission, manifest.tracking) if manifest else blob.author
                )
        return authors

    def _list_own_blobs(self, name: str, run: str) -> Mapping[str, ListedBlob]:
        """Return the blobs below a name that is free or the run's own. Raise PermanentError if it is neither."""
        blobs = self.blobs.list_below(name)
        address = f"{self._prefix}/{name}"
        if MANIFEST in blobs:
            manifest = self._read_manifest(name)
            if manifest is None or manifest.run != run:
                owner = f"is a checkpoint of the run {manifest.run}" if manifest else "holds other files"
                raise PermanentError(f"{address} {owner}")
        elif other := next((blob.author.run for blob in blobs.values() if blob.author.run not in ("", run)), ""):
            raise PermanentError(f"{address} holds parts of a checkpoint of the run {other}")
        elif any(not blob.author.run for blob in blobs.values()):
            raise PermanentError(f"{address} holds other files")
        return blobs

    def _read_manifest(self, name: str) -> CheckpointManifest | None:
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch, MANIFEST).write_bytes(self.blobs.read_blob(f"{name}/{MANIFEST}".lstrip("/")))
            return checkpoint.read_manifest(Path(scratch))

    def _verify_uploads(self, name: str, uploads: Mapping[str, BlobUpload]) -> None:
        """Raise UploadMismatch unless the listing has every file with its size and MD5."""
        blobs = self.blobs.list_below(name)
        for path, upload in uploads.items():
            if not _is_uploaded(blobs.get(path), upload):
                raise UploadMismatch(f"{self._prefix}/{name}/{path} differs from what was uploaded")

    def _write_manifest(self, name: str, folder: Path, author: BlobAuthor) -> None:
        content = (folder / MANIFEST).read_bytes()
        self.blobs.write_blob(f"{name}/{MANIFEST}", content, hashlib.md5(content).digest(), author)
        if self.blobs.read_blob(f"{name}/{MANIFEST}") != content:
            self.blobs.delete_blobs([f"{name}/{MANIFEST}"])
            raise UploadMismatch(f"{self._prefix}/{name}/{MANIFEST} differs from what was uploaded")

    def _list_paths_by_checkpoint(self, run: str) -> dict[str, set[str]]:
        paths: dict[str, set[str]] = {}
        for name, blob in self.blobs.list_below().items():
            if blob.author.run == run and (match := re.fullmatch(_CHECKPOINT_PATH, name)):
                paths.setdefault(match[1], set()).add(match[2])
        return paths


def _is_uploaded(blob: ListedBlob | None, upload: BlobUpload) -> bool:
    return blob is not None and (blob.size, blob.md5) == (upload.size, upload.md5)


def _make_upload(folder: Path, path: str, expected_sha256: str) -> BlobUpload:
    """Return a file to upload. Raise PermanentError if it changed since it was sealed."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(), 0
    try:
        with (folder / path).open("rb") as file:
            while chunk := file.read(CHUNK_SIZE):
                sha256.update(chunk)
                md5.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        raise PermanentError(f"{folder / path} is gone") from None
    if sha256.hexdigest() != expected_sha256:
        raise PermanentError(f"{folder / path} is not what was saved")
    return BlobUpload(name=path, file=folder / path, size=size, md5=md5.digest())


Body = Mapping[str, Any]


def main() -> None:
    """Serve requests until the parent process ends."""
    parser = argparse.ArgumentParser(prog="publish")
    parser.add_argument("url", type=parse_blob_url)
    parser.add_argument("--credential", default="")
    parser.add_argument("--way", default="", help="command that gives the job a credential")
    options = parser.parse_args()
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # the answers carry its errors
    service = PublishService(options.url, options.credential, options.way)
    serve_requests({PUT: service.upload_checkpoint, TRIM: service.delete_oldest, LOOK: service.check_target})


class PublishService:
    """Answers requests of the container plugin. Errors of the SDK become OSError with a sentence."""

    def __init__(self, prefix: BlobPrefix, credential: str, remedy: str = "") -> None:
        self._prefix = prefix
        self._credential = credential
        self._remedy = remedy

    def upload_checkpoint(self, body: Body) -> Body:
        """Upload a checkpoint; answer whether it is new."""
        folder, digest = Path(body["folder"]), str(body["digest"])
        return self._run_action(lambda checkpoints: {"new": checkpoints.upload_checkpoint(folder, digest)})

    def delete_oldest(self, body: Body) -> Body:
        """Delete the oldest checkpoints of a run; answer their names."""
        run, keep = str(body["run"]), int(body["keep"])
        return self._run_action(lambda checkpoints: {"removed": checkpoints.delete_oldest(run, keep)})

    def check_target(self, body: Body) -> Body:
        """Check that blobs can be written and deleted; answer the author of each checkpoint, by its name."""

        def check(checkpoints: PublishedCheckpoints) -> Body:
            checkpoints.blobs.check_access()
            authors = checkpoints.list_authors()
            return {"whole": {name: dataclasses.astuple(author) for name, author in authors.items() if name}}

        return self._run_action(check, short_timeouts=True)

    def _run_action(self, action: Callable[[PublishedCheckpoints], Body], *, short_timeouts: bool = False) -> Body:
        try:
            blob_identity = identity.load_identity(self._credential)
        except FetchError as error:
            raise OSError(str(error)) from error
        try:
            blobs = BlobContainer(self._prefix, blob_identity, short_timeouts=short_timeouts)
            return action(PublishedCheckpoints(self._prefix, blobs))
        except Exception as error:
            raise errors.explain_publish_error(error, self._prefix, blob_identity, self._remedy) from error


if __name__ == "__main__":
    main()
