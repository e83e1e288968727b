"""Pins of blob URLs: the transfer's digest of the current listing. Only what describes the data is downloaded."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from robotrain.model.source import Source, SourceNotFound, SourceUnreachable

from robotrain_sources import parallel, remote_files
from robotrain_sources.blob_url import errors, fetch, identity
from robotrain_sources.blob_url.fetch import BlobLister
from robotrain_sources.blob_url.reference import BlobPrefix, parse_blob_url
from robotrain_sources.fetching.errors import explain_sign_in

DEADLINE_SECONDS = 10.0
Answer = TypeVar("Answer")
THIS_MACHINE = "blobs from this machine"
SIGN_IN_HINT = f"sign in with `az login`; an identity needs the role {identity.READER_ROLE}"


def resolve_pin(source: Source, role: str) -> str:
    """Return the digest of the blobs below the prefix. Raise SourceError."""
    prefix = parse_blob_url(str(source))
    return _run_with_deadline(prefix, lambda: _list_and_digest(prefix, role, ""))


def explain_lost_pin(source: Source, role: str, pin: str) -> str:
    """Return why the pinned blobs are not available; empty if they are. Raise SourceError."""
    prefix = parse_blob_url(str(source))
    digest = _run_with_deadline(prefix, lambda: _list_and_digest(prefix, role, pin))
    if digest == pin:
        return ""
    missing_sentence = f"there are no blobs below {prefix} any more"
    return _format_sentence(errors.CHANGED_MESSAGE.format(at=prefix) if digest else missing_sentence)


def find_missing_paths(source: Source, role: str, paths: Sequence[str]) -> list[str]:
    """Return the paths without a blob below the prefix. Raise what the SDK raises, and SourceUnreachable."""
    origin = partial(fetch.open, str(source), "", role, "")
    return remote_files.find_missing(origin, role, paths, DEADLINE_SECONDS, THIS_MACHINE)


def read_files(source: Source, role: str, pin: str, paths: Sequence[str]) -> dict[str, bytes]:
    """Return the content of those of `paths` that are below the prefix. Raise SourceError."""
    origin = partial(fetch.open, str(source), pin, role, "")
    return remote_files.read_files(origin, role, paths, DEADLINE_SECONDS, THIS_MACHINE)


def list_files(source: Source, role: str, pin: str) -> Mapping[str, int]:
    """Return the size of each blob below the prefix. Raise SourceError."""
    return remote_files.list_sizes(partial(fetch.open, str(source), pin, role, ""), THIS_MACHINE)


def download(source: Source, role: str, pin: str, paths: Sequence[str], folder: Path, seconds: float) -> None:
    """Write blobs below the prefix below a folder. Raise SourceError."""
    remote_files.download(partial(fetch.open, str(source), pin, role, ""), paths, folder, seconds, THIS_MACHINE)


def _run_with_deadline(prefix: BlobPrefix, question: Callable[[], Answer]) -> Answer:
    return parallel.run_with_deadline(
        DEADLINE_SECONDS, question, f"The storage account {prefix.account}", SourceUnreachable
    )


def _list_and_digest(prefix: BlobPrefix, role: str, pin: str) -> str:
    """Return the digest of the current listing, with this machine's identity. Raise SourceError.

    With a pin, missing blobs are no error: the digest is empty.
    """
    blob_identity = identity.load_identity("")
    try:
        blob_identity.get_obstore_credential()
    except (ModuleNotFoundError, ValueError):  # Azure's library is missing, or refuses the environment
        raise
    except Exception as error:  # the message names no source: it is the same for all
        raise SourceUnreachable(_format_sentence(str(explain_sign_in(error, THIS_MACHINE, SIGN_IN_HINT)))) from None
    try:
        folder: BlobPrefix | None = prefix
        if role == "resume" and pin:
            folder = fetch.find_pinned_checkpoint(prefix, blob_identity, pin)
        elif role == "resume":
            folder = fetch.find_latest_checkpoint(prefix, blob_identity)
        lister = BlobLister(folder or prefix, blob_identity, role)
        if digest := fetch.compute_listing_digest(lister):
            return digest
        raise lister.explain_empty()
    except Exception as error:
        cause = errors.explain_blob_error(error, prefix, blob_identity)
        is_missing = isinstance(cause, errors.BlobsNotFound)
        if pin and is_missing:
            return ""
        kind = SourceNotFound if is_missing else SourceUnreachable
        raise kind(_format_sentence(cause.sentence), cause.way) from None


def _format_sentence(text: str) -> str:
    return f"{text if text.startswith('https:') else text[:1].upper() + text[1:]}."
