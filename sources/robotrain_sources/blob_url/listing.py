"""What a listing of blobs means as files of a folder: which of them are files, told while the pages still come."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from robotrain_sources.fetching import names
from robotrain_sources.transfer.origin import Entry

MOST_NEAR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One blob. name: below the prefix. md5: empty where the service has none. folder: marked as one by the service."""

    name: str
    size: int
    etag: str
    md5: bytes = b""
    folder: bool = False


def files(blobs: Iterable[Blob]) -> Iterator[Entry]:
    """The blobs that are files: no folders, which some accounts list too, and no notes of download tools.

    Only a few are held at a time: of `a`, which has no bytes, it is known whether it is a folder when the names that
    begin with `a` have gone by. They follow it, as every service lists by name, though `a-b` may come before `a/b`.
    """
    held: list[Blob] = []
    for blob in blobs:
        while held and not blob.name.startswith(held[-1].name):
            yield _entry(held.pop())
        held = [empty for empty in held if not blob.name.startswith(f"{empty.name}/")]
        if names.is_debris(blob.name) or _is_marker(blob):
            continue
        if blob.size:
            yield _entry(blob)
        else:
            held.append(blob)
    yield from map(_entry, held)


def near(wanted: str, there: Sequence[str]) -> list[str]:
    """The names of `there` that were probably meant: the alike ones, else the first ones."""
    return difflib.get_close_matches(wanted, there, n=MOST_NEAR, cutoff=0.5) or list(there[:MOST_NEAR])


def _is_marker(blob: Blob) -> bool:
    return blob.size == 0 and (blob.folder or blob.name.endswith("/"))


def _entry(blob: Blob) -> Entry:
    """A file as the transfer knows it. A listing names tags without the quotes that requests have them in."""
    return Entry(name=blob.name, size=blob.size, version=f'"{blob.etag.strip(chr(34))}"', md5=blob.md5.hex())
