"""Requests that change S3: write objects with their MD5, which the store verifies, and delete them."""

import base64
import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from robotrain_s3.store import Entry, Store

PARALLEL_FILES = 4
RUN_METADATA = "robotrain-run"
"""The metadata of each object that names the run that wrote it."""


class WritableStore(Store):
    """The folder at an address, for a publisher."""

    def list_folder(self, name: str) -> dict[str, Entry]:
        """Return the objects below a folder of the prefix, by their names there."""
        start = self._make_key(f"{name}/" if name else "")
        entries = (Entry.from_listing(one, start) for page in self._list_pages(start) for one in page)
        return {one.name: one for one in entries if one.name and not one.name.endswith("/")}

    def read(self, name: str) -> bytes:
        """Return the content of a small object."""
        content: bytes = self._client.get_object(Bucket=self._at.bucket, Key=self._make_key(name))["Body"].read()
        return content

    def read_owner(self, name: str) -> str:
        """Return the run that wrote an object; empty if robotrain did not."""
        found = self._client.head_object(Bucket=self._at.bucket, Key=self._make_key(name))
        return str(found.get("Metadata", {}).get(RUN_METADATA, ""))

    def upload_files(self, files: Mapping[str, tuple[Path, str]], run: str) -> None:
        """Upload files, given as path and Content-MD5 by object name. Raise the first failure."""

        def upload(name: str) -> None:
            path, md5 = files[name]
            with path.open("rb") as body:
                self._put(name, body, md5, run)

        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            list(pool.map(upload, files))

    def write(self, name: str, content: bytes, run: str = "") -> None:
        """Write a small object."""
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        self._put(name, content, base64.b64encode(md5).decode(), run)

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; those that do not exist are ignored."""
        for name in names:
            self._client.delete_object(Bucket=self._at.bucket, Key=self._make_key(name))

    def check_access(self) -> None:
        """Write a tiny object, and delete it."""
        name = f".robotrain-{os.urandom(8).hex()}"
        self.write(name, b"")
        self.delete([name])

    def _put(self, name: str, body: object, md5: str, run: str) -> None:
        metadata = {RUN_METADATA: run} if run else {}
        self._client.put_object(
            Bucket=self._at.bucket, Key=self._make_key(name), Body=body, ContentMD5=md5, Metadata=metadata
        )
