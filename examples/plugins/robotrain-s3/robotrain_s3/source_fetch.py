"""Inspect and fetch one source, in the environment that data is fetched in."""

import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.exceptions import HTTPClientError, IncompleteReadError

from robotrain_s3 import cache_folder, error_text
from robotrain_s3.address import S3Prefix, parse
from robotrain_s3.store import THREADS, Entry, S3Error, Store, digest

ATTEMPTS, PAUSE_SECONDS = 4, 1.0
_NOT_A_FILE_NAME = r"(?:^|/)(?:\.{0,2})(?:/|$)|[\x00-\x1f\x7f\\]"
MAX_NAME_BYTES = 255


class SourceFetch:
    """A source as the job names it. Each method raises S3Error with a sentence."""

    def __init__(self, uri: str, pin: str, cache: Path) -> None:
        self._at: S3Prefix = parse(uri)
        self._pin = pin
        self._cache = cache

    def survey(self, described: list[str], scratch: Path) -> Mapping[str, Any]:
        """Return its size and digest. Fetch the files that describe it into the folder `scratch`, if they exist."""
        store, entries = self._list_entries()
        folder = cache_folder.get_folder(self._cache, digest(entries))
        for entry in entries:
            if entry.name in described:
                self._download(store, entry, scratch / entry.name, scratch.with_name(f"{scratch.name}.incoming"))
        return {
            "files": len(entries),
            "size": sum(entry.size for entry in entries),
            "missing": sum(entry.size for entry in cache_folder.list_missing(folder, entries)),
            "digest": folder.name,
            "described": str(scratch) if scratch.exists() else "",
        }

    def fetch(self, count_bytes: Callable[[int], None]) -> Path:
        """Return the folder of its files, complete. `count_bytes` is called from several threads."""
        store, entries = self._list_entries()
        folder = cache_folder.get_folder(self._cache, digest(entries))
        if found := cache_folder.find_files(folder):
            return found
        with cache_folder.lock_folder(folder) as (into, incoming):
            missing = cache_folder.list_missing(folder, entries)
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(lambda one: self._download(store, one, into / one.name, incoming, count_bytes), missing))
            return cache_folder.find_files(folder) or cache_folder.seal(folder, entries)

    def _list_entries(self) -> tuple[Store, list[Entry]]:
        try:
            store = Store(self._at)
            entries = store.list_entries()
            if not entries:
                raise store.make_empty_error()
        except Exception as error:
            raise error_text.make_read_error(error, self._at) from None
        _check_names(entries)
        if self._pin not in ("", digest(entries)):
            raise S3Error(error_text.CHANGED.format(at=self._at), "data", error_text.REPIN)
        return store, entries

    def _download(
        self, store: Store, entry: Entry, to: Path, incoming: Path, count: Callable[[int], None] = lambda size: None
    ) -> None:
        """Download an object. Retry a connection that broke during the transfer: boto3 retries only until it begins."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return store.download(entry, to, incoming, count)
            except Exception as error:
                if attempt == ATTEMPTS or not isinstance(error, (HTTPClientError, IncompleteReadError)):
                    raise error_text.make_read_error(error, self._at) from None
            time.sleep(PAUSE_SECONDS)


def _check_names(entries: list[Entry]) -> None:
    """Raise S3Error if an object cannot be a file here."""
    names = {entry.name for entry in entries}
    for name in names:
        parents = {"/".join(name.split("/")[:depth]) for depth in range(1, name.count("/") + 1)}
        if re.search(_NOT_A_FILE_NAME, name) or max(len(part.encode()) for part in name.split("/")) > MAX_NAME_BYTES:
            raise S3Error(f"the object name {name!r} cannot be a file name on this machine", "data")
        if clash := parents & names:
            raise S3Error(f"{min(clash)!r} is both an object and a folder, of {name!r}", "data")
