"""Blob folders in the data environment: their listing, and the checkpoint to resume from."""

import functools
import importlib
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from robotrain_runtime.contract.failure import SourceError

from robotrain_sources.blob_url import blob_client, errors, identity, reference
from robotrain_sources.blob_url.blob_client import BlobContainer, ListedBlob
from robotrain_sources.blob_url.errors import BlobsNotFound
from robotrain_sources.blob_url.identity import BlobIdentity
from robotrain_sources.blob_url.reference import HOST, BlobPrefix
from robotrain_sources.blob_url.target import PublishedCheckpoints
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer.origin import RETRY_CONFIG, DataOrigin, SourceFile, compute_data_digest, is_debris

CARRIER = "robotrain_sources.transfer.container"


def select_files(blobs: Iterable[ListedBlob]) -> Iterator[SourceFile]:
    """Yield the blobs that are files: no folder markers, no leftovers of download tools.

    An empty blob `a` is a marker if a name begins with `a/`. Listings are sorted by name, so it is held back while
    names begin with `a` (`a-b` may come before `a/b`); only a few are held at a time.
    """
    empty_blobs: list[ListedBlob] = []
    for blob in blobs:
        while empty_blobs and not blob.name.startswith(empty_blobs[-1].name):
            yield _make_source_file(empty_blobs.pop())
        empty_blobs = [empty for empty in empty_blobs if not blob.name.startswith(f"{empty.name}/")]
        is_marker = blob.size == 0 and (blob.is_folder or blob.name.endswith("/"))
        if is_debris(blob.name) or is_marker:
            continue
        if blob.size:
            yield _make_source_file(blob)
        else:
            empty_blobs.append(blob)
    yield from map(_make_source_file, empty_blobs)


def _make_source_file(blob: ListedBlob) -> SourceFile:
    """Convert a blob. A listing has ETags without the quotes that requests need."""
    return SourceFile(name=blob.name, size=blob.size, version=f'"{blob.etag.strip(chr(34))}"', md5=blob.md5.hex())


CHECKPOINT_FILE = r"(?i)[^/]+\.pth?"
COMPANIONS = "params/"
"""The folder of the files that a checkpoint's file is used with."""


class BlobLister:
    """The blobs below a prefix, as one identity lists them. Methods raise what the SDK raises.

    In the role `checkpoint` a name such as model_300.pt is a single blob: it is listed below its folder, `prefix`.
    """

    def __init__(self, prefix: BlobPrefix, identity: BlobIdentity, role: str = "") -> None:
        folder, _, name = prefix.prefix.rpartition("/")
        self._file = name if role == "checkpoint" and re.fullmatch(CHECKPOINT_FILE, name) else ""
        self.prefix = BlobPrefix(prefix.account, prefix.container, folder) if self._file else prefix
        self._prefix = prefix
        self._identity = identity

    @functools.cached_property
    def _client(self) -> Any:
        """The SDK's client, whose import takes longer than reading cached data."""
        return blob_client.open_container(self._prefix, self._identity, short_timeouts=True)

    def list_blobs(self) -> Iterator[ListedBlob]:
        """Yield every blob below the prefix, page by page."""
        self._identity.get_obstore_credential()  # fails at once where the SDK would retry a sign-in for each prefix
        start = f"{self.prefix.prefix}/".lstrip("/")
        if not self._file:
            yield from (blob for blob in blob_client.list_blobs(self._client, start) if blob.name)
            return
        for blob in blob_client.list_blobs(self._client, f"{start}{self._file}"):
            if not blob.name:
                yield replace(blob, name=self._file)
                for companion in blob_client.list_blobs(self._client, f"{start}{COMPANIONS}"):
                    yield replace(companion, name=f"{COMPANIONS}{companion.name}")
                return

    def explain_empty(self) -> BlobsNotFound:
        """Return the error for a prefix without blobs."""
        if self._file:
            return BlobsNotFound(f"there is no blob {self._prefix}")
        return BlobsNotFound(f"there are no blobs below {self._prefix}: a blob URL names a folder of blobs")


MAX_CHECKPOINTS_SHOWN = 8


def find_latest_checkpoint(prefix: BlobPrefix, identity: BlobIdentity, remedy: str = "") -> BlobPrefix:
    """Return the folder of the latest checkpoint. Raise FetchError if there is none, or if several runs wrote some."""
    runs = _list_complete_checkpoints(prefix, identity, remedy)
    if "" in runs:
        return prefix
    if not runs:
        raise FetchError(f"there is no complete checkpoint at {prefix} or below it", "configuration")
    checkpoint_names = sorted(runs, key=int)
    if len(set(runs.values())) > 1:
        latest = ", ".join(f"{name} of the run {runs[name]}" for name in checkpoint_names[-MAX_CHECKPOINTS_SHOWN:])
        reason = f"there are checkpoints of several runs below {prefix}: {latest}"
        raise FetchError(reason, "configuration", f"--resume-from {shlex.quote(f'{prefix}/{checkpoint_names[-1]}')}")
    return _join_prefix(prefix, checkpoint_names[-1])


def find_pinned_checkpoint(prefix: BlobPrefix, identity: BlobIdentity, pin: str, remedy: str = "") -> BlobPrefix | None:
    """Return the folder of the checkpoint with the digest `pin`, of any run; None if it is gone.

    Raise what the SDK raises, and FetchError.
    """
    checkpoint_names = sorted(
        _list_complete_checkpoints(prefix, identity, remedy), key=lambda name: int(name or 0), reverse=True
    )
    folders = (_join_prefix(prefix, name) for name in checkpoint_names)
    return next((folder for folder in folders if compute_listing_digest(BlobLister(folder, identity)) == pin), None)


def compute_listing_digest(lister: BlobLister) -> str:
    """Return the transfer's digest of the files below a prefix; empty if there are none."""
    files = sorted(select_files(lister.list_blobs()), key=lambda file: file.name)
    return compute_data_digest(files) if files else ""


def _list_complete_checkpoints(prefix: BlobPrefix, identity: BlobIdentity, remedy: str) -> dict[str, str]:
    try:
        authors = PublishedCheckpoints(prefix, BlobContainer(prefix, identity, short_timeouts=True)).list_authors()
    except Exception as error:
        raise errors.explain_blob_error(error, prefix, identity, remedy=remedy) from error
    return {name: author.run for name, author in authors.items()}


def _join_prefix(prefix: BlobPrefix, name: str) -> BlobPrefix:
    return BlobPrefix(prefix.account, prefix.container, f"{prefix.prefix}/{name}") if name else prefix


IGNORED_SETTINGS = {"use_emulator": False, "use_fabric_endpoint": False, "skip_signature": False}
"""Settings that obstore would otherwise take from the environment."""
REPIN_COMMAND = "robotrain resubmit RUN --repin"


class BlobFiles(DataOrigin):
    """The files below a prefix, as one identity reads them.

    In the role `resume`, those of the pinned or latest checkpoint below the prefix. `remedy` is the platform's way to
    give the job an identity.
    """

    def __init__(
        self,
        prefix: BlobPrefix,
        pin: str,
        blob_identity: BlobIdentity,
        *,
        role: str = "",
        remedy: str = "",
    ) -> None:
        self.place = f"blob_url/{prefix.account}/{prefix.container}"
        self._prefix = prefix
        self._pin = pin
        self._identity = blob_identity
        self._lister = BlobLister(prefix, blob_identity, role)
        self._choose_checkpoint = role == "resume"
        self._remedy = remedy
        self._sign_in_error: Exception | None = None

    def list_files(self) -> Iterator[SourceFile]:
        """List the files. Raise FetchError if there is no checkpoint to choose."""
        if self._choose_checkpoint:
            folder: BlobPrefix | None
            if self._pin:
                folder = find_pinned_checkpoint(self._prefix, self._identity, self._pin, self._remedy)
            else:
                folder = find_latest_checkpoint(self._prefix, self._identity, self._remedy)
            if folder is None:
                raise self._make_change_error()
            self._prefix, self._choose_checkpoint = folder, False
            self._lister = BlobLister(folder, self._identity)
        return select_files(self._lister.list_blobs())

    def open_store(self, client_options: Mapping[str, Any]) -> Any:
        """Return the container's store."""
        return importlib.import_module("obstore.store").AzureStore(
            self._prefix.container,
            account_name=self._prefix.account,
            endpoint=f"https://{self._prefix.account}{HOST}",
            credential_provider=self._provide_credential,
            client_options=dict(client_options),
            retry_config=dict(RETRY_CONFIG),
            **IGNORED_SETTINGS,
        )

    def get_store_path(self, name: str) -> str:
        """Return the path of a file in the container."""
        return f"{self._lister.prefix.prefix}/{name}".lstrip("/")

    def find_pin_mismatch(self, digest: str) -> FetchError | None:
        """Return that the blobs changed if their digest is not the pin; else None."""
        return None if self._pin in ("", digest) else self._make_change_error()

    def explain_empty(self) -> FetchError:
        """Return the error for a prefix without blobs, with suggestions."""
        return self._lister.explain_empty()

    def explain_error(self, error: Exception) -> FetchError:
        """Return an error of the SDK or obstore as a FetchError."""
        sign_in_error = self._sign_in_error if "External Azure credential provider" in str(error) else None
        return errors.explain_blob_error(sign_in_error or error, self._prefix, self._identity, remedy=self._remedy)

    def _make_change_error(self) -> FetchError:
        return FetchError(errors.CHANGED_MESSAGE.format(at=self._prefix), "data", REPIN_COMMAND)

    def _provide_credential(self) -> dict[str, Any]:
        """Return the credential for obstore. obstore keeps only the text of an error, so the error is kept here."""
        try:
            return self._identity.get_obstore_credential()
        except Exception as error:
            self._sign_in_error = error
            raise


def open(uri: str, pin: str, role: str, credential: str, way: str = "") -> BlobFiles:
    """Return the files below the address. Raise FetchError if it, or the credential file, is invalid."""
    try:
        prefix = reference.parse_blob_url(uri)
    except SourceError as error:
        raise FetchError(f"the job's blob URL is invalid: {error.why}", "configuration") from None
    return BlobFiles(prefix, pin, identity.load_identity(credential), role=role, remedy=way)
