"""What S3 is asked: what lies below a prefix, and the bytes of an object. boto3 finds the credentials, as AWS says.

Imported where boto3 is: on the machine that pins, and in the environment that data is fetched in.
"""

import difflib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from robotrain_s3.address import S3Prefix

THREADS = 16
PIECE = 1 << 20
MOST_TOLD = 5
_PATIENCE = {"connect_timeout": 5, "read_timeout": 20, "retries": {"mode": "standard", "total_max_attempts": 3}}
_MD5 = r'"([0-9a-f]{32})"'


class Refused(Exception):
    """It cannot be had. The text is a sentence, its way out on a second line. fault: whose it is, in events' words.

    absent: what is named is not there, whoever asks.
    """

    def __init__(self, sentence: str, fault: str, absent: bool = False) -> None:
        super().__init__(sentence)
        self.fault = fault
        self.absent = absent


@dataclass(frozen=True, slots=True)
class Entry:
    """One object. name: below the prefix. etag: with its quotes, the same for as long as the content is."""

    name: str
    size: int
    etag: str


def digest(entries: Iterable[Entry]) -> str:
    """The same for the same names with the same content."""
    told = sorted((entry.name, entry.size, entry.etag) for entry in entries)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


class Store:
    """The folder at an address. Everything raises what boto3 raises, and Refused."""

    def __init__(self, at: S3Prefix) -> None:
        addressing: Any = {"addressing_style": "path"} if at.endpoint else {}
        config = Config(s3=addressing, max_pool_connections=THREADS, **_PATIENCE)
        session = boto3.Session()
        region = session.region_name or "us-east-1"  # what no region means; S3 tells when it is another
        self._client: Any = session.client("s3", endpoint_url=at.endpoint or None, region_name=region, config=config)
        self._at = at

    def entries(self, seconds: float = float("inf")) -> list[Entry]:
        """The objects below the prefix, without the markers of folders. Raises TimeoutError after so many seconds."""
        until, below, found = time.monotonic() + seconds, f"{self._at.prefix}/", []
        for page in self._pages(below):
            if time.monotonic() > until:
                raise TimeoutError(f"the list of what lies below {self._at} took longer than {seconds:g} seconds")
            found += [Entry(one["Key"].removeprefix(below), one["Size"], one["ETag"]) for one in page]
        return [entry for entry in found if entry.size or not (entry.name == "" or entry.name.endswith("/"))]

    def nothing(self) -> Refused:
        """That nothing lies below the prefix, and what does lie beside it."""
        above = self._at.prefix.rpartition("/")[0]
        beside = self._client.list_objects_v2(
            Bucket=self._at.bucket, Prefix=f"{above}/" if above else "", Delimiter="/"
        )
        there = [one["Prefix"].rstrip("/") for one in beside.get("CommonPrefixes", ())]
        told = f"; in {self._at.bucket} there is: {', '.join(there[:MOST_TOLD])}" if there else ""
        near = difflib.get_close_matches(self._at.prefix, there, n=1)
        ways = [f"\n{replace(self._at, prefix=prefix)}" for prefix in near]
        return Refused(f"nothing lies below {self._at}{told}{''.join(ways)}", "configuration", absent=True)

    def has(self, name: str) -> bool:
        """Whether an object of that name lies below the prefix."""
        key = f"{self._at.prefix}/{name}"
        found = self._client.list_objects_v2(Bucket=self._at.bucket, Prefix=key, MaxKeys=1)
        return any(one["Key"] == key for one in found.get("Contents", ()))

    def get(self, entry: Entry, to: Path, aside: Path, came: Callable[[int], None] = lambda count: None) -> None:
        """The object as the file `to`, which is whole or not there. Raises Refused when something else came.

        aside: a folder for what is not whole yet, where no object has its place.
        """
        key = f"{self._at.prefix}/{entry.name}"
        answer = self._client.get_object(Bucket=self._at.bucket, Key=key, IfMatch=entry.etag)
        for folder in (to.parent, aside):
            folder.mkdir(parents=True, exist_ok=True)
        scratch, seen, size = aside / hashlib.sha256(key.encode()).hexdigest(), hashlib.md5(usedforsecurity=False), 0
        with scratch.open("wb") as file:
            for piece in answer["Body"].iter_chunks(PIECE):
                file.write(piece)
                seen.update(piece)
                size += len(piece)
                came(len(piece))
            file.flush()
            os.fsync(file.fileno())
        plain = None if "kms" in answer.get("ServerSideEncryption", "") else re.fullmatch(_MD5, entry.etag)
        if size != entry.size or (plain and plain[1] != seen.hexdigest()):
            raise Refused(f"what came of {entry.name} is not what {self._at} lists", "network")
        os.replace(scratch, to)

    def _pages(self, below: str) -> Iterable[list[dict[str, Any]]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._at.bucket, Prefix=below)
        return (page.get("Contents", []) for page in pages)
