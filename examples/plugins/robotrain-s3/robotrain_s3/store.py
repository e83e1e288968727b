"""Requests that read S3: list a prefix, download an object. boto3 finds the credentials, as AWS documents.

Imported where boto3 is: on the machine that pins, and in the environment that data is fetched in.
"""

import difflib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from robotrain_s3.address import S3Prefix

THREADS = 16
CHUNK_BYTES = 1 << 20
MAX_LISTED = 5
_RETRIES = {"connect_timeout": 5, "read_timeout": 20, "retries": {"mode": "standard", "total_max_attempts": 3}}
_MD5 = r'"([0-9a-f]{32})"'


class S3Error(Exception):
    """A failed request: a sentence, and perhaps what to do. `fault` is one of those of a run's events.

    `not_found`: what is named does not exist, whoever asks.
    """

    def __init__(self, sentence: str, fault: str, way: str = "", not_found: bool = False) -> None:
        super().__init__(f"{sentence}: {way}" if way else sentence)
        self.sentence, self.way = sentence, way
        self.fault = fault
        self.not_found = not_found


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: its name below the prefix, its size in bytes, and its ETag with the quotes."""

    name: str
    size: int
    etag: str

    @classmethod
    def from_listing(cls, listed: Mapping[str, Any], start: str) -> "Entry":
        """Return the entry of a listed object whose key begins with `start`."""
        return cls(listed["Key"].removeprefix(start), listed["Size"], listed["ETag"])


def digest(entries: Iterable[Entry]) -> str:
    """Return a digest that is the same for the same names with the same content."""
    rows = sorted((entry.name, entry.size, entry.etag) for entry in entries)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:32]


class Store:
    """The folder at an address. Every method raises what boto3 raises, and S3Error."""

    def __init__(self, at: S3Prefix) -> None:
        addressing: Any = {"addressing_style": "path"} if at.endpoint else {}
        config = Config(s3=addressing, max_pool_connections=THREADS, **_RETRIES)
        session = boto3.Session()
        region = session.region_name or "us-east-1"  # the default; S3 redirects if it is another
        self._client: Any = session.client("s3", endpoint_url=at.endpoint or None, region_name=region, config=config)
        self._at = at

    def list_entries(self, seconds: float = float("inf")) -> list[Entry]:
        """Return the objects below the prefix, without the markers of folders. Raise TimeoutError after `seconds`."""
        until, below, found = time.monotonic() + seconds, f"{self._at.prefix}/", []
        for page in self._list_pages(below):
            if time.monotonic() > until:
                raise TimeoutError(f"listing {self._at} took longer than {seconds:g} seconds")
            found += [Entry.from_listing(one, below) for one in page]
        return [entry for entry in found if entry.size or not (entry.name == "" or entry.name.endswith("/"))]

    def make_empty_error(self) -> S3Error:
        """Return the error for an empty prefix, which lists its neighbours."""
        parent = self._at.prefix.rpartition("/")[0]
        found = self._client.list_objects_v2(
            Bucket=self._at.bucket, Prefix=f"{parent}/" if parent else "", Delimiter="/"
        )
        neighbours = [one["Prefix"].rstrip("/") for one in found.get("CommonPrefixes", ())]
        listed = f"; {self._at.bucket} contains {', '.join(neighbours[:MAX_LISTED])}" if neighbours else ""
        nearest = difflib.get_close_matches(self._at.prefix, neighbours, n=1)
        way = "".join(str(replace(self._at, prefix=prefix)) for prefix in nearest)
        return S3Error(f"there is nothing below {self._at}{listed}", "configuration", way, not_found=True)

    def has(self, name: str) -> bool:
        """Return whether an object of that name is below the prefix."""
        key = self._make_key(name)
        found = self._client.list_objects_v2(Bucket=self._at.bucket, Prefix=key, MaxKeys=1)
        return any(one["Key"] == key for one in found.get("Contents", ()))

    def download(self, entry: Entry, to: Path, incoming: Path, count_bytes: Callable[[int], None]) -> None:
        """Download the object to the file `to`, which is complete or absent. Raise S3Error if other bytes arrived.

        :param incoming: a folder for incomplete files, outside the folder of the objects.
        """
        key = self._make_key(entry.name)
        answer = self._client.get_object(Bucket=self._at.bucket, Key=key, IfMatch=entry.etag)
        for folder in (to.parent, incoming):
            folder.mkdir(parents=True, exist_ok=True)
        scratch, md5, size = incoming / hashlib.sha256(key.encode()).hexdigest(), hashlib.md5(usedforsecurity=False), 0
        with scratch.open("wb") as file:
            for chunk in answer["Body"].iter_chunks(CHUNK_BYTES):
                file.write(chunk)
                md5.update(chunk)
                size += len(chunk)
                count_bytes(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        plain = None if "kms" in answer.get("ServerSideEncryption", "") else re.fullmatch(_MD5, entry.etag)
        if size != entry.size or (plain and plain[1] != md5.hexdigest()):
            raise S3Error(f"the downloaded {entry.name} differs from what {self._at} lists", "network")
        os.replace(scratch, to)

    def _make_key(self, name: str) -> str:
        return f"{self._at.prefix}/{name}"

    def _list_pages(self, below: str) -> Iterable[list[dict[str, Any]]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._at.bucket, Prefix=below)
        return (page.get("Contents", []) for page in pages)
