"""Writing blobs with Azure's SDK: each with its MD5, checked by the service as it arrives, in bounded memory."""

import contextlib
import importlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from robotrain_sources.blob_url.identity import Identity
from robotrain_sources.blob_url.prefix import HOST, BlobPrefix

RUN, SUBMISSION, TRACKING = "robotrain_run", "robotrain_submission", "robotrain_tracking"
"""The metadata of each blob that says what wrote it."""
BLOCK = 4 << 20
FILES, BLOCKS = 4, 4
"""So many files at a time, each in so many blocks at a time: at most 80 MiB are held."""
PAGE = 5000
PATIENCE = {"retry_total": 3, "initial_backoff": 1, "increment_base": 2, "connection_timeout": 10, "read_timeout": 60}
HASTE = {"retry_total": 1, "initial_backoff": 1, "connection_timeout": 10, "read_timeout": 20}
MEMORY = {"max_single_put_size": BLOCK, "max_block_size": BLOCK, "min_large_block_upload_threshold": BLOCK}


@dataclass(frozen=True, slots=True)
class Author:
    """What wrote a blob. run: empty for somebody else. submission, tracking: as in `Manifest`."""

    run: str = ""
    submission: str = ""
    tracking: str = ""

    @property
    def metadata(self) -> dict[str, str] | None:
        """As it is kept: a header takes few characters as they are. None for nobody."""
        said = {RUN: self.run, SUBMISSION: quote(self.submission), TRACKING: quote(self.tracking)}
        return {name: value for name, value in said.items() if value} or None


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """A blob that is there. name: below the prefix. by: what wrote it."""

    name: str
    size: int
    md5: bytes
    by: Author

    @property
    def run(self) -> str:
        """Whose it is; empty for somebody else's."""
        return self.by.run


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A blob that is to be there."""

    name: str
    file: Path
    size: int
    md5: bytes


class Container:
    """What lies below one prefix, as one identity writes it. Everything raises what the SDK raises."""

    def __init__(self, at: BlobPrefix, who: Identity, *, asking: bool = False) -> None:
        """asking: only for a question that somebody waits for."""
        storage: Any = importlib.import_module("azure.storage.blob")
        self._settings = storage.ContentSettings
        self._prefix = at.prefix
        self._client = storage.ContainerClient(
            f"https://{at.account}{HOST}",
            at.container,
            who.sdk(at.account),
            **(HASTE if asking else PATIENCE),
            **MEMORY,
        )

    def below(self, folder: str = "") -> dict[str, There]:
        """Every blob below a folder of the prefix, by its name there; no markers of folders."""
        start = "/".join(filter(None, (self._prefix, folder))) + "/"
        listed = self._client.list_blobs(name_starts_with=start, include=["metadata"], results_per_page=PAGE)
        return {found.name: found for found in (_there(blob, start) for blob in listed) if found is not None}

    def read(self, name: str) -> bytes:
        """A small blob."""
        content: bytes = self._blob(name).download_blob().readall()
        return content

    def upload(self, wanted: Iterable[Wanted], folder: str, by: Author) -> None:
        """Upload files below a folder of the prefix; the first failure is raised."""
        with ThreadPoolExecutor(FILES) as pool:
            for done in [pool.submit(self._upload, one, f"{folder}/{one.name}", by) for one in wanted]:
                done.result()

    def write(self, name: str, content: bytes, md5: bytes, by: Author) -> None:
        """A small blob, new: raises ResourceExistsError when one of that name is there."""
        self._send(name, content, len(content), md5, by, overwrite=False)

    def delete(self, names: Iterable[str]) -> None:
        """Delete blobs; those that are gone already do not matter."""
        with ThreadPoolExecutor(FILES) as pool:
            for done in [pool.submit(self._delete, name) for name in names]:
                done.result()

    def probe(self) -> None:
        """Write a tiny blob, and delete it."""
        name = f".robotrain-{os.urandom(8).hex()}"
        self._send(name, b"", 0, bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e"), Author(), overwrite=True)
        self._delete(name)

    def _upload(self, one: Wanted, name: str, by: Author) -> None:
        with one.file.open("rb") as file:
            self._send(name, file, one.size, one.md5, by, overwrite=True)

    def _send(self, name: str, content: Any, size: int, md5: bytes, by: Author, overwrite: bool) -> None:
        self._blob(name).upload_blob(
            content,
            length=size,
            overwrite=overwrite,
            validate_content=True,  # the service compares the MD5 of each request with what came
            max_concurrency=BLOCKS,
            content_settings=self._settings(content_type="application/octet-stream", content_md5=bytearray(md5)),
            metadata=by.metadata,
        )

    def _delete(self, name: str) -> None:
        core: Any = importlib.import_module("azure.core.exceptions")
        with contextlib.suppress(core.ResourceNotFoundError):
            self._blob(name).delete_blob(delete_snapshots="include")

    def _blob(self, name: str) -> Any:
        return self._client.get_blob_client(f"{self._prefix}/{name}")


def _there(blob: Any, start: str) -> There | None:
    known = blob.metadata or {}
    name = blob.name.removeprefix(start)
    if known.get("hdi_isfolder") == "true" or not name:
        return None
    md5 = bytes(blob.content_settings.content_md5 or b"")
    said = (unquote(known.get(key, "")) for key in (SUBMISSION, TRACKING))
    return There(name=name, size=blob.size, md5=md5, by=Author(known.get(RUN, ""), *said))
