"""What Azure's SDK is asked of a container: what lies below a prefix, page by page, and what else there is."""

import importlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

from robotrain_sources.blob_url import listing
from robotrain_sources.blob_url.identity import Identity
from robotrain_sources.blob_url.listing import Blob
from robotrain_sources.blob_url.prefix import HOST, BlobPrefix
from robotrain_sources.blob_url.unfetched import NotThere

PATIENCE = {"retry_total": 1, "initial_backoff": 1, "connection_timeout": 10, "read_timeout": 20}
"""A name that cannot be resolved takes the SDK 81 seconds otherwise."""
PAGE = 5000


class Asking:
    """One prefix, as one identity reads it. Everything raises what the SDK raises."""

    def __init__(self, at: BlobPrefix, identity: Identity) -> None:
        storage: Any = importlib.import_module("azure.storage.blob")
        self._at = at
        self._identity = identity
        self._client = storage.ContainerClient(
            f"https://{at.account}{HOST}", at.container, identity.sdk(at.account), **PATIENCE
        )

    def blobs(self) -> Iterator[Blob]:
        """Everything below the prefix, as it is listed; a page is held at a time."""
        self._identity.provide()  # else the SDK tries a failed sign-in again, seconds later, for each of many prefixes
        below = f"{self._at.prefix}/"
        listed = self._client.list_blobs(name_starts_with=below, include=["metadata"], results_per_page=PAGE)
        yield from (_blob(found, below) for found in listed if found.name != below)

    def has(self, name: str) -> bool:
        """Whether there is a blob of that name below the prefix."""
        path = f"{self._at.prefix}/{name}"
        return any(found.name == path for found in self._client.list_blobs(name_starts_with=path, results_per_page=2))

    def nothing(self) -> NotThere:
        """That nothing lies below the prefix, and what was probably meant."""
        parts = self._at.prefix.split("/")
        for depth in range(len(parts) - 1, -1, -1):
            if found := self._near("".join(f"{part}/" for part in parts[:depth])):
                return NotThere(found)
        return NotThere(f"no blobs lie below {self._at}, and there are no other folders in {self._at.container}")

    def _near(self, above: str) -> str:
        """What was probably meant, of what lies in the folder `above`, as a sentence; empty when nothing like it is."""
        there = list(islice(self._client.walk_blobs(name_starts_with=above), PAGE))
        if any(found.name == self._at.prefix and found.get("size") for found in there):
            folder = BlobPrefix(self._at.account, self._at.container, above.rstrip("/"))
            way = f"name the folder above it, {folder}" if above else "put it into a folder"
            return f"{self._at} is a single blob, not a folder of blobs: {way}"
        folders = {found.name.rstrip("/") for found in there if found.name.endswith("/")} - {self._at.prefix}
        near = ", ".join(listing.near(self._at.prefix, sorted(folders)))
        return near and f"no blobs lie below {self._at}; in {self._at.container} there is: {near}"


def _blob(found: Any, below: str) -> Blob:
    return Blob(
        name=found.name.removeprefix(below),
        size=found.size,
        etag=found.etag,
        md5=bytes(found.content_settings.content_md5 or b""),
        folder=(found.metadata or {}).get("hdi_isfolder") == "true",
    )
