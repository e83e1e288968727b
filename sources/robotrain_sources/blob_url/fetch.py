"""Runs in the data environment: fetches every blob below a prefix, each verified, into a folder for that state of it.

`python -m robotrain_sources.blob_url.fetch URL --to FOLDER`
"""

import argparse
import hashlib
import importlib
import logging
import os
from itertools import islice
from pathlib import Path
from typing import Any

from robotrain_sources.blob_url import identity, listing, unfetched
from robotrain_sources.blob_url.listing import Blob
from robotrain_sources.blob_url.prefix import HOST, BlobPrefix, parse
from robotrain_sources.fetching import answer, landing, names, parallel, progress

CONNECTIONS = 4
BACKOFF = {"initial_backoff": 1, "increment_base": 2, "random_jitter_range": 1, "connection_timeout": 10}
ASKING = {**BACKOFF, "retry_total": 1, "read_timeout": 20}
FETCHING = {**BACKOFF, "retry_total": 5, "read_timeout": 60}
LOOKED_AT = 5000


class Fetching:
    """The blobs below one prefix, as one identity reads them."""

    def __init__(self, at: BlobPrefix, credential: Any) -> None:
        storage: Any = importlib.import_module("azure.storage.blob")
        self._unchanged = importlib.import_module("azure.core").MatchConditions.IfNotModified
        self._at = at
        address = f"https://{at.account}{HOST}"
        self._asking = storage.ContainerClient(address, at.container, credential, **ASKING)
        self._fetching = storage.ContainerClient(address, at.container, credential, **FETCHING)

    def into(self, to: Path) -> Path:
        """The folder below `to` that holds the files. Raises Refused, and what the SDK raises."""
        found = listing.files(self._listed())
        if not found:
            raise answer.Refused(self._nothing())
        if wrong := names.wrong_with(blob.name for blob in found):
            raise answer.Refused(f"{self._at}: {wrong}")
        return landing.land(to / listing.digest(self._at.prefix, found)[:32], lambda folder: self._fill(folder, found))

    def _listed(self) -> list[Blob]:
        below = f"{self._at.prefix}/"
        return [
            Blob(
                name=blob.name.removeprefix(below),
                size=blob.size,
                etag=blob.etag,
                md5=bytes(blob.content_settings.content_md5 or b""),
                folder=(blob.metadata or {}).get("hdi_isfolder") == "true",
            )
            for blob in self._asking.list_blobs(name_starts_with=below, include=["metadata"])
            if blob.name != below
        ]

    def _fill(self, folder: Path, found: list[Blob]) -> None:
        with progress.told(str(self._at), sum(blob.size for blob in found), folder):
            parallel.each(lambda blob: self._one(folder, blob), found, CONNECTIONS)

    def _one(self, folder: Path, blob: Blob) -> None:
        """Fetch one blob as it was listed, and compare it with what the service knows of it."""
        path, name = folder / blob.name, f"{self._at.prefix}/{blob.name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = self._fetching.get_blob_client(name).download_blob(
            etag=blob.etag, match_condition=self._unchanged, max_concurrency=CONNECTIONS, decompress=False
        )
        with path.open("w+b") as file:
            stream.readinto(file)
            came = file.seek(0, os.SEEK_END)
            file.seek(0)
            if came != blob.size or (blob.md5 and hashlib.file_digest(file, "md5").digest() != blob.md5):
                raise answer.Refused(f"{name} did not arrive as {self._at.account} has it: try again")

    def _nothing(self) -> str:
        """That nothing lies below the prefix, and what was probably meant."""
        parts = self._at.prefix.split("/")
        for depth in range(len(parts) - 1, -1, -1):
            above = "".join(f"{part}/" for part in parts[:depth])
            there = list(islice(self._asking.walk_blobs(name_starts_with=above), LOOKED_AT))
            if any(found.name == self._at.prefix and found.get("size") for found in there):
                folder = BlobPrefix(self._at.account, self._at.container, above.rstrip("/"))
                way = f"name the folder above it, {folder}" if above else "put it into a folder"
                return f"{self._at} is a single blob, not a folder of blobs: {way}"
            folders = {found.name.rstrip("/") for found in there if found.name.endswith("/")} - {self._at.prefix}
            if folders:
                near = ", ".join(listing.near(self._at.prefix, sorted(folders)))
                return f"no blobs lie below {self._at}; in {self._at.container} there is: {near}"
        return f"no blobs lie below {self._at}, and there are no other folders in {self._at.container}"


def main() -> None:
    """Fetch what the command line says."""
    parser = argparse.ArgumentParser(prog="fetch")
    parser.add_argument("url", type=parse)
    parser.add_argument("--to", type=Path, required=True)
    asked = parser.parse_args()
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what it has to say is in the answer
    answer.main(lambda: _fetched(asked.url, asked.to))


def _fetched(at: BlobPrefix, to: Path) -> Path:
    credential = identity.credential()
    with unfetched.told(at, credential):
        return Fetching(at, credential).into(to)


if __name__ == "__main__":
    main()
