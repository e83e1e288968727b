"""The container plugin that publishes to a blob folder: a checkpoint with its manifest last, deleted with it first."""

import hashlib
import re
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.failure import PermanentError, SourceError
from robotrain_runtime.contract.target import CheckpointMark, TargetInspection
from robotrain_runtime.data_environment import ENVIRONMENT

from robotrain_sources.blob_url import errors, identity, reference
from robotrain_sources.blob_url.blob_client import BlobAuthor, BlobContainer, BlobUpload, ListedBlob
from robotrain_sources.blob_url.reference import BlobPrefix
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.fetching.quiet import call_cancellable, silence_libraries

__all__ = ["ENVIRONMENT", "SOURCE", "inspect", "normalize", "open"]

SOURCE = "robotrain_sources.blob_url.fetch"
CHUNK_SIZE = 1 << 20
_CHECKPOINT_PATH = r"(\d+)/(.+)"

T = TypeVar("T")


class UploadMismatch(OSError):
    """A blob differs from what was uploaded. The text says which."""


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
        missing_uploads = [upload for path, upload in uploads.items() if not _is_uploaded(blobs.get(path), upload)]
        if MANIFEST in blobs:
            if not missing_uploads and self._read_manifest(name) == manifest:
                return False
            self.blobs.delete_blobs([f"{name}/{MANIFEST}"])
        self.blobs.delete_blobs(f"{name}/{path}" for path in blobs.keys() - uploads.keys() - {MANIFEST})
        author = BlobAuthor(manifest.run, manifest.submission, manifest.tracking)
        self.blobs.upload_files(missing_uploads, name, author)
        blobs = self.blobs.list_below(name)
        if differing_path := next((path for path in uploads if not _is_uploaded(blobs.get(path), uploads[path])), ""):
            raise UploadMismatch(f"{self._prefix}/{name}/{differing_path} differs from what was uploaded")
        manifest_bytes = (folder / MANIFEST).read_bytes()
        self.blobs.write_blob(f"{name}/{MANIFEST}", manifest_bytes, hashlib.md5(manifest_bytes).digest(), author)
        if self.blobs.read_blob(f"{name}/{MANIFEST}") != manifest_bytes:
            self.blobs.delete_blobs([f"{name}/{MANIFEST}"])
            raise UploadMismatch(f"{self._prefix}/{name}/{MANIFEST} differs from what was uploaded")
        return True

    def delete_oldest(self, run: str, keep: int) -> list[str]:
        """Delete all but the last `keep` checkpoints of `run`, and parts of older ones; return the names deleted.

        The manifest goes first, so that no part of a checkpoint looks complete.
        """
        paths_by_name: dict[str, set[str]] = {}
        for name, blob in self.blobs.list_below().items():
            if blob.author.run == run and (match := re.fullmatch(_CHECKPOINT_PATH, name)):
                paths_by_name.setdefault(match[1], set()).add(match[2])
        complete_names = sorted((name for name, paths in paths_by_name.items() if MANIFEST in paths), key=int)
        newest_names = complete_names[-max(keep, 1) :]
        removed_names = [
            name for name in sorted(paths_by_name, key=int) if newest_names and int(name) < int(newest_names[0])
        ]
        for name in removed_names:
            self.blobs.delete_blobs([f"{name}/{MANIFEST}"] if name in complete_names else [])
            self.blobs.delete_blobs(f"{name}/{path}" for path in paths_by_name[name] - {MANIFEST})
        return [name for name in removed_names if name in complete_names]

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
        elif other_run := next((blob.author.run for blob in blobs.values() if blob.author.run not in ("", run)), ""):
            raise PermanentError(f"{address} holds parts of a checkpoint of the run {other_run}")
        elif any(not blob.author.run for blob in blobs.values()):
            raise PermanentError(f"{address} holds other files")
        return blobs

    def _read_manifest(self, name: str) -> CheckpointManifest | None:
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch, MANIFEST).write_bytes(self.blobs.read_blob(f"{name}/{MANIFEST}".lstrip("/")))
            return checkpoint.read_manifest(Path(scratch))


def _is_uploaded(blob: ListedBlob | None, upload: BlobUpload) -> bool:
    return blob is not None and (blob.size, blob.md5) == (upload.size, upload.md5)


def _make_upload(folder: Path, path: str, expected_sha256: str) -> BlobUpload:
    """Return a file to upload. Raise PermanentError if it changed since it was sealed."""
    sha256 = hashlib.sha256()
    md5 = hashlib.md5()
    size = 0
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


def normalize(address: str) -> str:
    """Return the normal form of the address; empty if it is not a blob URL."""
    try:
        return str(reference.parse_blob_url(address))
    except SourceError:
        return ""


def inspect(address: str, context: ContainerContext) -> TargetInspection:
    """Check that blobs can be written, read and deleted; return the runs of the checkpoints there."""
    if context.python is None:
        return TargetInspection()
    try:
        authors = BlobTargetWriter(address, context).check_access()
    except OSError as error:
        return TargetInspection(problems=(str(error),))
    marks = {
        int(name): CheckpointMark(name=name, submission=author.submission, tracking=author.tracking)
        for name, author in authors.items()
        if author.submission
    }
    return TargetInspection(runs={int(name): author.run for name, author in authors.items()}, marks=marks)


def open(address: str, context: ContainerContext) -> "BlobTargetWriter":
    """Return a writer."""
    return BlobTargetWriter(address, context)


class BlobTargetWriter:
    """Publishes to one blob folder. Errors of the SDK become OSError with a sentence."""

    def __init__(self, address: str, context: ContainerContext) -> None:
        self._prefix, self._context = reference.parse_blob_url(address), context

    def write(self, folder: Path, manifest: CheckpointManifest, halted: Callable[[], bool]) -> bool:
        """Upload a checkpoint, its manifest last."""
        upload = partial(PublishedCheckpoints.upload_checkpoint, folder=folder, digest=manifest.digest)
        return call_cancellable(lambda: self._run_action(upload), halted)

    def trim(self, run: str, keep: int, halted: Callable[[], bool]) -> tuple[str, ...]:
        """Delete the oldest checkpoints of the run, the manifest of each first."""
        delete = partial(PublishedCheckpoints.delete_oldest, run=run, keep=keep)
        return tuple(call_cancellable(lambda: self._run_action(delete), halted))

    def check_access(self) -> dict[str, BlobAuthor]:
        """Check that blobs can be written and deleted; return the author of each checkpoint, by its name."""

        def check(checkpoints: PublishedCheckpoints) -> dict[str, BlobAuthor]:
            checkpoints.blobs.check_access()
            return {name: author for name, author in checkpoints.list_authors().items() if name}

        return self._run_action(check, short_timeouts=True)

    def close(self) -> None:
        """Do nothing: no connection stays open."""

    def _run_action(self, action: Callable[[PublishedCheckpoints], T], *, short_timeouts: bool = False) -> T:
        silence_libraries()
        kind, context = reference.BlobPrefix.kind, self._context
        try:
            blob_identity = identity.load_identity(context.credentials.get(kind, ""))
        except FetchError as error:
            raise OSError(str(error)) from error
        try:
            blobs = BlobContainer(self._prefix, blob_identity, short_timeouts=short_timeouts)
            return action(PublishedCheckpoints(self._prefix, blobs))
        except Exception as error:
            if isinstance(error, PermanentError | UploadMismatch) or (isinstance(error, OSError) and error.errno):
                raise
            hint = context.credential_hints.get(kind, "")
            raise OSError(
                str(errors.explain_blob_error(error, self._prefix, blob_identity, errors.CONTRIBUTOR_ROLE, hint))
            ) from error
