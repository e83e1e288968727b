"""What S3 is asked to change: objects written with their MD5, which the store compares with what came, and deleted."""

import base64
import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from robotrain_s3.sealed import File
from robotrain_s3.store import Entry, Store

FILES = 4
"""So many at a time."""
RUN = "robotrain-run"
"""The metadata of each object that says which run wrote it."""


class Writing(Store):
    """The folder at an address, as its owner has it."""

    def below(self, name: str) -> dict[str, Entry]:
        """The objects below a folder of the prefix, by their names there."""
        start = self._key(f"{name}/" if name else "")
        listed = (_entry(one, start) for page in self._pages(start) for one in page)
        return {one.name: one for one in listed if one.name and not one.name.endswith("/")}

    def read(self, name: str) -> bytes:
        """A small object."""
        content: bytes = self._client.get_object(Bucket=self._at.bucket, Key=self._key(name))["Body"].read()
        return content

    def whose(self, name: str) -> str:
        """The run that wrote an object; empty for somebody else."""
        found = self._client.head_object(Bucket=self._at.bucket, Key=self._key(name))
        return str(found.get("Metadata", {}).get(RUN, ""))

    def upload(self, files: Iterable[File], folder: str, run: str) -> None:
        """Files below a folder of the prefix; the first failure is raised."""

        def send(one: File) -> None:
            with one.path.open("rb") as body:
                self._put(f"{folder}/{one.name}", body, one.header, run)

        with ThreadPoolExecutor(FILES) as pool:
            list(pool.map(send, files))

    def write(self, name: str, content: bytes, run: str = "") -> None:
        """A small object."""
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        self._put(name, content, base64.b64encode(md5).decode(), run)

    def delete(self, names: Iterable[str]) -> None:
        """Those that are gone already do not matter."""
        for name in names:
            self._client.delete_object(Bucket=self._at.bucket, Key=self._key(name))

    def probe(self) -> None:
        """Write a tiny object, and delete it."""
        name = f".robotrain-{os.urandom(8).hex()}"
        self.write(name, b"")
        self.delete([name])

    def _put(self, name: str, body: object, md5: str, run: str) -> None:
        key, said = self._key(name), {RUN: run} if run else {}
        self._client.put_object(Bucket=self._at.bucket, Key=key, Body=body, ContentMD5=md5, Metadata=said)

    def _key(self, name: str) -> str:
        return f"{self._at.prefix}/{name}"


def _entry(one: Mapping[str, Any], below: str) -> Entry:
    return Entry(one["Key"].removeprefix(below), one["Size"], one["ETag"])
