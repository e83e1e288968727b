"""One source in the environment that data is fetched in: looked at, then fetched."""

import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.exceptions import HTTPClientError, IncompleteReadError

from robotrain_s3 import landing, unread
from robotrain_s3.address import S3Prefix, parse
from robotrain_s3.store import THREADS, Entry, Refused, Store, digest

TRIES, PAUSE = 4, 1.0
_NO_FILE = r"(?:^|/)(?:\.{0,2})(?:/|$)|[\x00-\x1f\x7f\\]"
LONGEST_NAME = 255


class Source:
    """A source as the job names it. Each method raises Refused with a sentence."""

    def __init__(self, uri: str, pin: str, cache: Path) -> None:
        self._at: S3Prefix = parse(uri)
        self._pin = pin
        self._cache = cache

    def look(self, described: list[str], scratch: Path) -> Mapping[str, Any]:
        """What it is; the files that describe it are fetched into the folder `scratch`, where they are there."""
        store, entries = self._listed()
        folder = landing.place(self._cache, digest(entries))
        for entry in entries:
            if entry.name in described:
                self._got(store, entry, scratch / entry.name, scratch.with_name(f"{scratch.name}.incoming"))
        return {
            "files": len(entries),
            "size": sum(entry.size for entry in entries),
            "missing": sum(entry.size for entry in landing.missing(folder, entries)),
            "digest": folder.name,
            "described": str(scratch) if scratch.exists() else "",
        }

    def fetch(self, came: Callable[[int], None]) -> Path:
        """The folder of its files, complete. came: told of bytes, from several threads."""
        store, entries = self._listed()
        folder = landing.place(self._cache, digest(entries))
        if found := landing.files(folder):
            return found
        with landing.filling(folder) as (into, aside):
            wanted = landing.missing(folder, entries)
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(lambda entry: self._got(store, entry, into / entry.name, aside, came), wanted))
            return landing.files(folder) or landing.seal(folder, entries)

    def _listed(self) -> tuple[Store, list[Entry]]:
        try:
            store = Store(self._at)
            entries = store.entries()
            if not entries:
                raise store.nothing()
        except Exception as error:
            raise unread.of(error, self._at) from None
        _check(entries)
        if self._pin not in ("", digest(entries)):
            raise Refused(unread.CHANGED.format(at=self._at), "data")
        return store, entries

    def _got(
        self, store: Store, entry: Entry, to: Path, aside: Path, came: Callable[[int], None] = lambda count: None
    ) -> None:
        """Once more where the connection broke off on the way: boto3 itself tries again only until it begins."""
        for last in (*(False for _ in range(TRIES - 1)), True):
            try:
                return store.get(entry, to, aside, came)
            except Exception as error:
                if last or not isinstance(error, (HTTPClientError, IncompleteReadError)):
                    raise unread.of(error, self._at) from None
            time.sleep(PAUSE)


def _check(entries: list[Entry]) -> None:
    """That each object can be a file here. Raises Refused."""
    names = {entry.name for entry in entries}
    for name in names:
        above = {"/".join(name.split("/")[:depth]) for depth in range(1, name.count("/") + 1)}
        if re.search(_NO_FILE, name) or max(map(len, map(str.encode, name.split("/")))) > LONGEST_NAME:
            raise Refused(f"the name {name!r} is none that a file of this machine can have", "data")
        if clash := above & names:
            raise Refused(f"{min(clash)!r} is an object and, with {name!r}, a folder too", "data")
