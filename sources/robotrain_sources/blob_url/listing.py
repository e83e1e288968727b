"""What a listing of blobs means as files of a folder: which of them are files, and what identifies them together."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robotrain_sources.fetching import names

MOST_NEAR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One blob. name: below the prefix. md5: empty where the service has none. folder: marked as one by the service."""

    name: str
    size: int
    etag: str
    md5: bytes = b""
    folder: bool = False


def files(blobs: Iterable[Blob]) -> list[Blob]:
    """The blobs that are files: no folders, which some accounts list too, and no notes of download tools."""
    known = {blob.name: blob for blob in blobs}
    above = {folder for name in known for folder in names.folders(name)}
    return [blob for blob in known.values() if not (_is_folder(blob, above) or names.is_debris(blob.name))]


def digest(prefix: str, blobs: Iterable[Blob]) -> str:
    """The same for as long as the same blobs lie below the prefix, none of them written again."""
    content = [prefix, sorted((blob.name, blob.size, blob.etag) for blob in blobs)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def near(wanted: str, there: Sequence[str]) -> list[str]:
    """The names of `there` that were probably meant: the alike ones, else the first ones."""
    return difflib.get_close_matches(wanted, there, n=MOST_NEAR, cutoff=0.5) or list(there[:MOST_NEAR])


def _is_folder(blob: Blob, above: set[str]) -> bool:
    return blob.size == 0 and (blob.folder or blob.name.endswith("/") or blob.name in above)
