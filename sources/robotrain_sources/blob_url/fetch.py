"""Runs in the data environment: lists a folder of blobs, and finds the checkpoint to resume from in it."""

import difflib
import importlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from robotrain_sources.blob_url import errors, identity, reference
from robotrain_sources.blob_url.errors import BlobsNotFound
from robotrain_sources.blob_url.identity import BlobIdentity
from robotrain_sources.blob_url.publish import BlobContainer, PublishedCheckpoints
from robotrain_sources.blob_url.reference import HOST, BlobPrefix
from robotrain_sources.fetching import files
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer import catalog, origin
from robotrain_sources.transfer.origin import SourceFile

MAX_SIMILAR_NAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedBlob:
    """One blob. name: below the prefix. md5: empty where the service has none. folder: marked as one by the service."""

    name: str
    size: int
    etag: str
    md5: bytes = b""
    is_folder: bool = False


def select_files(blobs: Iterable[ListedBlob]) -> Iterator[SourceFile]:
    """The blobs that are files: no folders, which some accounts list too, and no notes of download tools.

    Only a few are held at a time: of `a`, which has no bytes, it is known whether it is a folder when the names that
    begin with `a` have gone by. They follow it, as every service lists by name, though `a-b` may come before `a/b`.
    """
    held: list[ListedBlob] = []
    for blob in blobs:
        while held and not blob.name.startswith(held[-1].name):
            yield _make_source_file(held.pop())
        held = [empty for empty in held if not blob.name.startswith(f"{empty.name}/")]
        if files.is_debris(blob.name) or _is_folder_marker(blob):
            continue
        if blob.size:
            yield _make_source_file(blob)
        else:
            held.append(blob)
    yield from map(_make_source_file, held)


def find_similar_names(wanted: str, known_names: Sequence[str]) -> list[str]:
    """The names of `there` that were probably meant: the alike ones, else the first ones."""
    return difflib.get_close_matches(wanted, known_names, n=MAX_SIMILAR_NAMES, cutoff=0.5) or list(
        known_names[:MAX_SIMILAR_NAMES]
    )


def _is_folder_marker(blob: ListedBlob) -> bool:
    return blob.size == 0 and (blob.is_folder or blob.name.endswith("/"))


def _make_source_file(blob: ListedBlob) -> SourceFile:
    """A file as the transfer knows it. A listing names tags without the quotes that requests have them in."""
    return SourceFile(name=blob.name, size=blob.size, version=f'"{blob.etag.strip(chr(34))}"', md5=blob.md5.hex())


SDK_TIMEOUTS = {"retry_total": 1, "initial_backoff": 1, "connection_timeout": 10, "read_timeout": 20}
"""A name that cannot be resolved takes the SDK 81 seconds otherwise."""
PAGE_SIZE = 5000


class BlobLister:
    """One prefix, as one identity reads it. Everything raises what the SDK raises."""

    def __init__(self, prefix: BlobPrefix, identity: BlobIdentity) -> None:
        storage: Any = importlib.import_module("azure.storage.blob")
        self._prefix = prefix
        self._identity = identity
        self._client = storage.ContainerClient(
            f"https://{prefix.account}{HOST}",
            prefix.container,
            identity.get_sdk_credential(prefix.account),
            **SDK_TIMEOUTS,
        )

    def list_blobs(self) -> Iterator[ListedBlob]:
        """Everything below the prefix, as it is listed; a page is held at a time."""
        self._identity.get_obstore_credential()  # else the SDK tries a failed sign-in again, seconds later, for each of many prefixes
        below = f"{self._prefix.prefix}/"
        listed = self._client.list_blobs(name_starts_with=below, include=["metadata"], results_per_page=PAGE_SIZE)
        yield from (_make_listed_blob(found, below) for found in listed if found.name != below)

    def has_blob(self, name: str) -> bool:
        """Whether there is a blob of that name below the prefix."""
        path = f"{self._prefix.prefix}/{name}"
        return any(found.name == path for found in self._client.list_blobs(name_starts_with=path, results_per_page=2))

    def explain_empty(self) -> BlobsNotFound:
        """That nothing lies below the prefix, and what was probably meant."""
        parts = self._prefix.prefix.split("/")
        for depth in range(len(parts) - 1, -1, -1):
            if found := self._suggest_in_folder("".join(f"{part}/" for part in parts[:depth])):
                return BlobsNotFound(found)
        return BlobsNotFound(
            f"no blobs lie below {self._prefix}, and there are no other folders in {self._prefix.container}"
        )

    def _suggest_in_folder(self, folder_name: str) -> str:
        """What was probably meant, of what lies in the folder `above`, as a sentence; empty when nothing like it is."""
        there = list(islice(self._client.walk_blobs(name_starts_with=folder_name), PAGE_SIZE))
        if any(found.name == self._prefix.prefix and found.get("size") for found in there):
            folder = BlobPrefix(self._prefix.account, self._prefix.container, folder_name.rstrip("/"))
            way = f"name the folder above it, {folder}" if folder_name else "put it into a folder"
            return f"{self._prefix} is a single blob, not a folder of blobs: {way}"
        folders = {found.name.rstrip("/") for found in there if found.name.endswith("/")} - {self._prefix.prefix}
        near = ", ".join(find_similar_names(self._prefix.prefix, sorted(folders)))
        return near and f"no blobs lie below {self._prefix}; in {self._prefix.container} there is: {near}"


def _make_listed_blob(found: Any, below: str) -> ListedBlob:
    return ListedBlob(
        name=found.name.removeprefix(below),
        size=found.size,
        etag=found.etag,
        md5=bytes(found.content_settings.content_md5 or b""),
        is_folder=(found.metadata or {}).get("hdi_isfolder") == "true",
    )


MAX_CHECKPOINTS_SHOWN = 8


def find_latest_checkpoint(prefix: BlobPrefix, identity: BlobIdentity, remedy: str = "") -> BlobPrefix:
    """The folder of the checkpoint. Raises Refused when there is none, or when several runs have left some.

    way: as in `unfetched`.
    """
    found = _list_complete_checkpoints(prefix, identity, remedy)
    if "" in found:
        return prefix
    if not found:
        raise FetchError(f"no whole checkpoint lies at {prefix}, and none below it", "configuration")
    names = sorted(found, key=int)
    if len(set(found.values())) > 1:
        each = ", ".join(f"{name} of the run {found[name]}" for name in names[-MAX_CHECKPOINTS_SHOWN:])
        raise FetchError(
            f"checkpoints of several runs lie below {prefix}: {each}\n--resume-from {prefix}/{names[-1]}",
            "configuration",
        )
    return _join_prefix(prefix, names[-1])


def find_pinned_checkpoint(prefix: BlobPrefix, identity: BlobIdentity, pin: str, remedy: str = "") -> BlobPrefix | None:
    """The folder of the checkpoint with the digest `pin`, whichever run's it is and whatever came after it; None when
    it is gone. Raises what the SDK raises, and Refused.
    """
    names = sorted(_list_complete_checkpoints(prefix, identity, remedy), key=lambda name: int(name or 0), reverse=True)
    folders = (_join_prefix(prefix, name) for name in names)
    return next((folder for folder in folders if compute_listing_digest(BlobLister(folder, identity)) == pin), None)


def compute_listing_digest(lister: BlobLister) -> str:
    """The digest of what lies below a prefix, as the transfer tells it; empty for nothing."""
    found = sorted(select_files(lister.list_blobs()), key=lambda entry: entry.name)
    return catalog.compute_data_digest(found) if found else ""


def _list_complete_checkpoints(prefix: BlobPrefix, identity: BlobIdentity, remedy: str) -> dict[str, str]:
    try:
        found = PublishedCheckpoints(prefix, BlobContainer(prefix, identity, in_haste=True)).list_authors()
    except Exception as error:
        raise errors.explain_blob_error(error, prefix, identity, remedy=remedy) from error
    return {name: by.run for name, by in found.items()}


def _join_prefix(prefix: BlobPrefix, name: str) -> BlobPrefix:
    return BlobPrefix(prefix.account, prefix.container, f"{prefix.prefix}/{name}") if name else prefix


IGNORED_SETTINGS = {"use_emulator": False, "use_fabric_endpoint": False, "skip_signature": False}
"""What obstore would take from the environment otherwise."""
REPIN_COMMAND = "robotrain resubmit RUN --repin"


class BlobFiles:
    """The blobs below one prefix, as one identity reads them. chosen: whether it is a checkpoint below that is meant,
    which is asked for when its files are. way: what to type to give the job an identity, where that is known.
    """

    def __init__(
        self,
        prefix: BlobPrefix,
        pin: str,
        who: identity.BlobIdentity,
        *,
        choose_checkpoint: bool = False,
        remedy: str = "",
    ) -> None:
        self.place = f"blob_url/{prefix.account}/{prefix.container}"
        self._prefix = prefix
        self._pin = pin
        self._identity = who
        self._lister = BlobLister(prefix, who)
        self._choose_checkpoint = choose_checkpoint
        self._remedy = remedy
        self._sign_in_error: Exception | None = None

    def list_files(self) -> Iterator[SourceFile]:
        """The files, as they are listed. Raises Refused when there is no checkpoint to choose."""
        if self._choose_checkpoint:
            self._prefix = self._find_checkpoint()
            self._lister, self._choose_checkpoint = BlobLister(self._prefix, self._identity), False
        return select_files(self._lister.list_blobs())

    def open_store(self) -> Any:
        """The container, for whoever can sign in."""
        return importlib.import_module("obstore.store").AzureStore(
            self._prefix.container,
            account_name=self._prefix.account,
            endpoint=f"https://{self._prefix.account}{HOST}",
            credential_provider=self._provide_credential,
            client_options=dict(origin.CLIENT_OPTIONS),
            retry_config=dict(origin.RETRY_CONFIG),
            **IGNORED_SETTINGS,
        )

    def get_store_path(self, name: str) -> str:
        """Where a file lies in the container."""
        return f"{self._prefix.prefix}/{name}"

    def find_pin_mismatch(self, digest: str) -> str:
        """That what lies there is not what was pinned; empty when it is."""
        return "" if self._pin in ("", digest) else self._describe_change()

    def explain_empty(self) -> FetchError:
        """That there are no blobs, and what was probably meant."""
        return self._lister.explain_empty()

    def explain_error(self, error: Exception) -> FetchError:
        """Why Azure did not give something."""
        unsigned = self._sign_in_error if "External Azure credential provider" in str(error) else None
        return errors.explain_blob_error(unsigned or error, self._prefix, self._identity, remedy=self._remedy)

    def _find_checkpoint(self) -> BlobPrefix:
        if not self._pin:
            return find_latest_checkpoint(self._prefix, self._identity, self._remedy)
        if found := find_pinned_checkpoint(self._prefix, self._identity, self._pin, self._remedy):
            return found
        raise FetchError(self._describe_change(), "data")

    def _describe_change(self) -> str:
        return f"{errors.CHANGED_MESSAGE.format(at=self._prefix)}\n{REPIN_COMMAND}"

    def _provide_credential(self) -> dict[str, Any]:
        """The credential. Of an error obstore keeps words alone, so it is kept here."""
        try:
            return self._identity.get_obstore_credential()
        except Exception as error:
            self._sign_in_error = error
            raise


def open(uri: str, pin: str, role: str, credential: str, way: str = "") -> BlobFiles:
    """The blobs below the address. Raises Refused when it is none, or the credential file is of no use."""
    try:
        at = reference.parse_blob_url(uri)
    except reference.BlobUrlError as refused:
        raise FetchError(f"the job names no folder of blobs: {refused.why}", "configuration") from None
    return BlobFiles(at, pin, identity.load_identity(credential), choose_checkpoint=role == "resume", remedy=way)
