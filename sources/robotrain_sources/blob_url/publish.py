"""Runs in the data environment: publishes checkpoints below a blob prefix, their manifest last.

`python -m robotrain_sources.blob_url.publish URL [--credential FILE] [--way TEXT]`
"""

import argparse
import contextlib
import dataclasses
import hashlib
import importlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

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
"""The metadata of each blob that says what wrote it."""
BLOCK_SIZE = 4 << 20
PARALLEL_FILES, PARALLEL_BLOCKS = 4, 4
"""So many files at a time, each in so many blocks at a time: at most 80 MiB are held."""
PAGE_SIZE = 5000
SDK_TIMEOUTS = {
    "retry_total": 3,
    "initial_backoff": 1,
    "increment_base": 2,
    "connection_timeout": 10,
    "read_timeout": 60,
}
HASTY_SDK_TIMEOUTS = {"retry_total": 1, "initial_backoff": 1, "connection_timeout": 10, "read_timeout": 20}
MEMORY_LIMITS = {
    "max_single_put_size": BLOCK_SIZE,
    "max_block_size": BLOCK_SIZE,
    "min_large_block_upload_threshold": BLOCK_SIZE,
}


@dataclass(frozen=True, slots=True)
class BlobAuthor:
    """What wrote a blob. run: empty for somebody else. submission, tracking: as in `Manifest`."""

    run: str = ""
    submission: str = ""
    tracking: str = ""

    @property
    def metadata(self) -> dict[str, str] | None:
        """As it is kept: a header takes few characters as they are. None for nobody."""
        said = {
            RUN_METADATA: self.run,
            SUBMISSION_METADATA: quote(self.submission),
            TRACKING_METADATA: quote(self.tracking),
        }
        return {name: value for name, value in said.items() if value} or None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedBlob:
    """A blob that is there. name: below the prefix. by: what wrote it."""

    name: str
    size: int
    md5: bytes
    author: BlobAuthor

    @property
    def run(self) -> str:
        """Whose it is; empty for somebody else's."""
        return self.author.run


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobUpload:
    """A blob that is to be there."""

    name: str
    file: Path
    size: int
    md5: bytes


class BlobContainer:
    """What lies below one prefix, as one identity writes it. Everything raises what the SDK raises."""

    def __init__(self, prefix: BlobPrefix, identity: BlobIdentity, *, in_haste: bool = False) -> None:
        """asking: only for a question that somebody waits for."""
        storage: Any = importlib.import_module("azure.storage.blob")
        self._settings = storage.ContentSettings
        self._prefix = prefix.prefix
        self._client = storage.ContainerClient(
            f"https://{prefix.account}{HOST}",
            prefix.container,
            identity.get_sdk_credential(prefix.account),
            **(HASTY_SDK_TIMEOUTS if in_haste else SDK_TIMEOUTS),
            **MEMORY_LIMITS,
        )

    def list_below(self, folder: str = "") -> dict[str, PublishedBlob]:
        """Every blob below a folder of the prefix, by its name there; no markers of folders."""
        start = "/".join(filter(None, (self._prefix, folder))) + "/"
        listed = self._client.list_blobs(name_starts_with=start, include=["metadata"], results_per_page=PAGE_SIZE)
        return {
            found.name: found for found in (_make_published_blob(blob, start) for blob in listed) if found is not None
        }

    def read_blob(self, name: str) -> bytes:
        """A small blob."""
        content: bytes = self._get_blob_client(name).download_blob().readall()
        return content

    def upload_files(self, uploads: Iterable[BlobUpload], folder: str, author: BlobAuthor) -> None:
        """Upload files below a folder of the prefix; the first failure is raised."""
        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            for done in [pool.submit(self._upload_file, one, f"{folder}/{one.name}", author) for one in uploads]:
                done.result()

    def write_blob(self, name: str, content: bytes, md5: bytes, author: BlobAuthor) -> None:
        """A small blob, new: raises ResourceExistsError when one of that name is there."""
        self._upload_content(name, content, len(content), md5, author, overwrite=False)

    def delete_blobs(self, names: Iterable[str]) -> None:
        """Delete blobs; those that are gone already do not matter."""
        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            for done in [pool.submit(self._delete_blob, name) for name in names]:
                done.result()

    def check_access(self) -> None:
        """Write a tiny blob, and delete it."""
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
        self._get_blob_client(name).upload_blob(
            content,
            length=size,
            overwrite=overwrite,
            validate_content=True,  # the service compares the MD5 of each request with what came
            max_concurrency=PARALLEL_BLOCKS,
            content_settings=self._settings(content_type="application/octet-stream", content_md5=bytearray(md5)),
            metadata=author.metadata,
        )

    def _delete_blob(self, name: str) -> None:
        core: Any = importlib.import_module("azure.core.exceptions")
        with contextlib.suppress(core.ResourceNotFoundError):
            self._get_blob_client(name).delete_blob(delete_snapshots="include")

    def _get_blob_client(self, name: str) -> Any:
        return self._client.get_blob_client(f"{self._prefix}/{name}")


def _make_published_blob(blob: Any, start: str) -> PublishedBlob | None:
    known = blob.metadata or {}
    name = blob.name.removeprefix(start)
    if known.get("hdi_isfolder") == "true" or not name:
        return None
    md5 = bytes(blob.content_settings.content_md5 or b"")
    said = (unquote(known.get(key, "")) for key in (SUBMISSION_METADATA, TRACKING_METADATA))
    return PublishedBlob(name=name, size=blob.size, md5=md5, author=BlobAuthor(known.get(RUN_METADATA, ""), *said))


CHUNK_SIZE = 1 << 20
_CHECKPOINT_PATH = r"(\d+)/(.+)"


class PublishedCheckpoints:
    """What is published below one prefix."""

    def __init__(self, prefix: BlobPrefix, blobs: BlobContainer) -> None:
        self._prefix = prefix
        self.blobs = blobs

    def upload_checkpoint(self, folder: Path, digest: str) -> bool:
        """Bring the checkpoint in `folder`, under its name: whole, or not there. False when it was there already.

        Parts of it that an earlier try brought are not sent again. Raises Never when the name is taken, or when the
        folder does not hold what was sealed; Torn; what the SDK raises.
        """
        name, sealed = folder.name, checkpoint.read_manifest(folder)
        if sealed is None or sealed.digest != digest:
            raise PermanentError(f"{folder} is not what was sealed any more")
        there = self._list_own_blobs(name, sealed.run)
        wanted = {path: _make_upload(folder, path, sha256) for path, sha256 in sealed.files.items()}
        if MANIFEST in there:
            if self._read_manifest(name) == sealed and all(
                _is_uploaded(there.get(path), one) for path, one in wanted.items()
            ):
                return False
            self.blobs.delete_blobs([f"{name}/{MANIFEST}"])
        self.blobs.delete_blobs(f"{name}/{path}" for path in there.keys() - wanted.keys() - {MANIFEST})
        missing = [one for path, one in wanted.items() if not _is_uploaded(there.get(path), one)]
        by = BlobAuthor(sealed.run, sealed.submission, sealed.tracking)
        self.blobs.upload_files(missing, name, by)
        self._verify_uploads(name, wanted)
        self._write_manifest(name, folder, by)
        return True

    def delete_oldest(self, run: str, keep: int) -> list[str]:
        """Remove the oldest checkpoints of `run` but for the last `keep`, and what is left of older ones: their names.

        The manifest goes first: nobody finds half a checkpoint that looks whole.
        """
        parts = self._list_paths_by_checkpoint(run)
        whole = sorted((name for name, paths in parts.items() if MANIFEST in paths), key=int)
        kept = whole[-max(keep, 1) :]
        removed = [name for name in sorted(parts, key=int) if kept and int(name) < int(kept[0])]
        for name in removed:
            self.blobs.delete_blobs([f"{name}/{MANIFEST}"] if name in whole else [])
            self.blobs.delete_blobs(f"{name}/{path}" for path in parts[name] - {MANIFEST})
        return [name for name in removed if name in whole]

    def list_authors(self) -> dict[str, BlobAuthor]:
        """What wrote each checkpoint there, by its name; under an empty name the place itself, if it is one."""
        found = {}
        for path, one in self.blobs.list_below().items():
            name, _, file = path.rpartition("/")
            if file == MANIFEST and (not name or name.isdecimal()):
                made = None if one.run else self._read_manifest(name)
                found[name] = BlobAuthor(made.run, made.submission, made.tracking) if made else one.author
        return found

    def _list_own_blobs(self, name: str, run: str) -> Mapping[str, PublishedBlob]:
        """What is there under a name that is free, or the run's own. Raises Never."""
        there = self.blobs.list_below(name)
        address = f"{self._prefix}/{name}"
        if MANIFEST in there:
            made = self._read_manifest(name)
            if made is None or made.run != run:
                raise PermanentError(
                    f"{address} is " + (f"a checkpoint of the run {made.run}" if made else "something else")
                )
        elif other := next((one.run for one in there.values() if one.run not in ("", run)), ""):
            raise PermanentError(f"{address} holds parts of a checkpoint of the run {other}")
        elif any(not one.run for one in there.values()):
            raise PermanentError(f"{address} is something else")
        return there

    def _read_manifest(self, name: str) -> CheckpointManifest | None:
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch, MANIFEST).write_bytes(self.blobs.read_blob(f"{name}/{MANIFEST}".lstrip("/")))
            return checkpoint.read_manifest(Path(scratch))

    def _verify_uploads(self, name: str, uploads: Mapping[str, BlobUpload]) -> None:
        """The service must have what was sent, by its own account of it."""
        there = self.blobs.list_below(name)
        for path, one in uploads.items():
            if not _is_uploaded(there.get(path), one):
                raise UploadMismatch(f"{self._prefix}/{name}/{path} did not arrive as it was sent")

    def _write_manifest(self, name: str, folder: Path, author: BlobAuthor) -> None:
        content = (folder / MANIFEST).read_bytes()
        self.blobs.write_blob(f"{name}/{MANIFEST}", content, hashlib.md5(content).digest(), author)
        if self.blobs.read_blob(f"{name}/{MANIFEST}") != content:
            self.blobs.delete_blobs([f"{name}/{MANIFEST}"])
            raise UploadMismatch(f"{self._prefix}/{name}/{MANIFEST} did not arrive as it was sent")

    def _list_paths_by_checkpoint(self, run: str) -> dict[str, set[str]]:
        """What the run wrote, by the name of the checkpoint."""
        found: dict[str, set[str]] = {}
        for name, one in self.blobs.list_below().items():
            step, path = _split_blob_name(name)
            if step and one.run == run:
                found.setdefault(step, set()).add(path)
        return found


def _split_blob_name(name: str) -> tuple[str, str]:
    """Checkpoint and path of a blob below the prefix; empty for what belongs to none."""
    found = re.fullmatch(_CHECKPOINT_PATH, name)
    return (found[1], found[2]) if found else ("", "")


def _is_uploaded(blob: PublishedBlob | None, upload: BlobUpload) -> bool:
    return blob is not None and (blob.size, blob.md5) == (upload.size, upload.md5)


def _make_upload(folder: Path, path: str, sealed: str) -> BlobUpload:
    """A file as it is to arrive. Raises Never when it is not what was sealed."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(), 0
    try:
        with (folder / path).open("rb") as file:
            while chunk := file.read(CHUNK_SIZE):
                sha256.update(chunk)
                md5.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        raise PermanentError(f"{folder / path} is gone") from None
    if sha256.hexdigest() != sealed:
        raise PermanentError(f"{folder / path} is not what was saved")
    return BlobUpload(name=path, file=folder / path, size=size, md5=md5.digest())


Body = Mapping[str, Any]


def main() -> None:
    """Serve until whoever started it is gone."""
    parser = argparse.ArgumentParser(prog="publish")
    parser.add_argument("url", type=parse_blob_url)
    parser.add_argument("--credential", default="")
    parser.add_argument("--way", default="", help="what to type to give the job a credential")
    given = parser.parse_args()
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what it has to say is in the answers
    desk = PublishService(given.url, given.credential, given.way)
    serve_requests({PUT: desk.upload_checkpoint, TRIM: desk.delete_oldest, LOOK: desk.check_target})


class PublishService:
    """Does what is asked. What the SDK raises becomes OSError with a sentence."""

    def __init__(self, prefix: BlobPrefix, credential: str, remedy: str = "") -> None:
        self._prefix = prefix
        self._credential = credential
        self._remedy = remedy

    def upload_checkpoint(self, body: Body) -> Body:
        """A checkpoint, whole or not there; whether it is new."""
        return self._run_action(
            lambda found: {"new": found.upload_checkpoint(Path(body["folder"]), str(body["digest"]))}
        )

    def delete_oldest(self, body: Body) -> Body:
        """The oldest of a run; their names."""
        return self._run_action(lambda found: {"removed": found.delete_oldest(str(body["run"]), int(body["keep"]))})

    def check_target(self, body: Body) -> Body:
        """Whether one may write and delete; what wrote each checkpoint that lies there, by its name."""

        def see(found: PublishedCheckpoints) -> Body:
            found.blobs.check_access()
            return {"whole": {name: dataclasses.astuple(by) for name, by in found.list_authors().items() if name}}

        return self._run_action(see, in_haste=True)

    def _run_action(self, action: Callable[[PublishedCheckpoints], Body], *, in_haste: bool = False) -> Body:
        try:
            who = identity.load_identity(self._credential)
        except FetchError as refused:
            raise OSError(str(refused)) from refused
        try:
            return action(PublishedCheckpoints(self._prefix, BlobContainer(self._prefix, who, in_haste=in_haste)))
        except Exception as error:
            raise errors.explain_publish_error(error, self._prefix, who, self._remedy) from error


if __name__ == "__main__":
    main()
