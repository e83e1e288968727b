"""The files of a source in SQLite: sizes, digests and what has arrived. Only one page is held in memory."""

import hashlib
import json
import os
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer.origin import SourceFile, find_name_problem

DIGEST_LENGTH = 32


def compute_data_digest(entries: Iterable[SourceFile]) -> str:
    """Return the digest of `entries`, which must be sorted by name: 32 hex digits."""
    hasher = hashlib.sha256()
    for entry in entries:
        hasher.update(json.dumps((entry.name, entry.size, entry.identity)).encode() + b"\n")
    return hasher.hexdigest()[:DIGEST_LENGTH]


_PROBE_NAME = ".a\u00e9."


def fold_name(name: str) -> str:
    """Return one spelling for all names that a case-insensitive or normalizing disk takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_folding_disk(folder: Path) -> bool:
    """Return whether the disk of `folder` folds names; writes a probe file there. Raise OSError."""
    probe = _PROBE_NAME + os.urandom(4).hex()
    (folder / probe).touch()
    try:
        return (folder / probe.replace("a", "A", 1)).exists() or (folder / unicodedata.normalize("NFD", probe)).exists()
    finally:
        (folder / probe).unlink()


PAGE_SIZE = 1000
BLOCK_SIZE = 4096
_TABLES = """
create table files (name text primary key, size integer, version text, md5 text, sha256 text, git text,
                    own text default '') without rowid;
create index by_size on files (size, name);
create table ranges (name text, start integer, stop integer);
"""
_COLUMNS = "name, size, version, md5, sha256, git"
_get_row = attrgetter(*_COLUMNS.split(", "))


@dataclass(frozen=True, slots=True)
class DataSize:
    """The size of a source: number of files, their bytes, and the bytes they take on a disk."""

    files: int
    size: int
    disk_bytes: int


class Catalog:
    """A listing of files and what of them has arrived, in a SQLite file.

    The column `own` is the SHA-256 of a file that is complete. A killed process loses nothing; a power cut may damage
    the database, then sqlite3 raises.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        new = not path.exists()
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.execute("pragma synchronous = off")
        if new:
            self._database.executescript(_TABLES)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def sync(self) -> None:
        """Write everything to the disk."""
        with self.path.open("rb") as content:
            os.fsync(content.fileno())

    def add_files(self, entries: Iterable[SourceFile], folding_disk: bool = False) -> None:
        """Add a listing. Raise FetchError for names that cannot be files below one folder.

        `folding_disk` says that the files go to a disk that takes some different names for the same.
        """
        listed = iter(entries)
        while page := list(islice(listed, PAGE_SIZE)):
            for entry in page:
                if problem := find_name_problem(entry.name):
                    raise FetchError(problem, "data")
                if entry.size < 0 or not entry.identity:
                    why = "the listing has no size, or neither a digest nor a version"
                    raise FetchError(f"{why}, of {entry.name!r}", "data")
            try:
                with self._database:
                    self._database.executemany(
                        f"insert into files ({_COLUMNS}) values (?, ?, ?, ?, ?, ?)", map(_get_row, page)
                    )
            except sqlite3.IntegrityError:
                raise FetchError("one name is listed twice, so its files cannot both be written", "data") from None
        self._check_folders()
        if folding_disk:
            self._check_folded_names()

    def measure(self) -> DataSize:
        """Return the size of all files."""
        disk_bytes = f"(size + {BLOCK_SIZE - 1}) / {BLOCK_SIZE} * {BLOCK_SIZE}"
        return DataSize(
            *self._database.execute(
                f"select count(*), ifnull(sum(size), 0), ifnull(sum({disk_bytes}), 0) from files"
            ).fetchone()
        )

    def is_complete(self) -> bool:
        """Return whether every file has arrived."""
        return self._database.execute("select 1 from files where own = '' limit 1").fetchone() is None

    def count_arrived_bytes(self) -> int:
        """Return the number of bytes that have arrived."""
        complete = self._database.execute("select ifnull(sum(size), 0) from files where own != ''").fetchone()[0]
        return int(complete + self._database.execute("select ifnull(sum(stop - start), 0) from ranges").fetchone()[0])

    def compute_digest(self) -> str:
        """Return the digest of the whole listing."""
        return compute_data_digest(map(_make_source_file, self._iter_rows(_COLUMNS, "1")))

    def find_file(self, name: str) -> SourceFile | None:
        """Return the file with that name."""
        row = self._database.execute(f"select {_COLUMNS} from files where name = ?", (name,)).fetchone()
        return _make_source_file(row) if row else None

    def find_smallest_file(self) -> SourceFile | None:
        """Return the smallest file that is not empty."""
        query = f"select {_COLUMNS} from files where size > 0 order by size, name limit 1"
        row = self._database.execute(query).fetchone()
        return _make_source_file(row) if row else None

    def iter_missing(self) -> Iterator[SourceFile]:
        """Yield the incomplete files, the largest first; arrivals may be recorded meanwhile."""
        size, name = 2**62, ""
        query = f"select {_COLUMNS} from files where (size, name) < (?, ?) and own = ''"
        while page := self._database.execute(
            f"{query} order by size desc, name desc limit {PAGE_SIZE}", (size, name)
        ).fetchall():
            yield from map(_make_source_file, page)
            name, size = page[-1][:2]

    def iter_complete(self) -> Iterator[tuple[str, int, str]]:
        """Return name, size and SHA-256 of the complete files, by name; arrivals may be recorded meanwhile."""
        return self._iter_rows("name, size, own", "own != ''")

    def record_arrival(self, files: Iterable[tuple[str, str]], ranges: Iterable[tuple[str, int, int]] = ()) -> None:
        """Record files (name, SHA-256; empty to mark it as missing again) and ranges (name, start, stop)."""
        files = list(files)
        with self._database:
            self._database.executemany("insert into ranges values (?, ?, ?)", ranges)
            self._database.executemany("update files set own = ? where name = ?", ((own, name) for name, own in files))
            self._database.executemany("delete from ranges where name = ?", ((name,) for name, _ in files))

    def list_ranges(self, name: str) -> list[tuple[int, int]]:
        """Return the ranges of an incomplete file that arrived, in order."""
        query = "select start, stop from ranges where name = ? order by start"
        return self._database.execute(query, (name,)).fetchall()

    def list_partial_files(self) -> list[str]:
        """Return the names of incomplete files of which ranges arrived."""
        return [name for (name,) in self._database.execute("select distinct name from ranges").fetchall()]

    def import_arrivals(self, earlier: Path) -> None:
        """Copy the arrivals of another catalog of the same data. Raise sqlite3.Error if it cannot be read."""
        self._database.execute("attach ? as earlier", (str(earlier),))
        try:
            with self._database:
                query = "select own from earlier.files as old where old.name = files.name"
                self._database.execute(f"update files set own = ifnull(({query}), '')")
                self._database.execute("insert into ranges select name, start, stop from earlier.ranges")
        finally:
            self._database.execute("detach earlier")

    def _iter_rows(self, columns: str, condition: str) -> Iterator[Any]:
        """Yield rows by name, their first column."""
        last = ""
        query = f"select {columns} from files where name > ? and {condition} order by name limit {PAGE_SIZE}"
        while page := self._database.execute(query, (last,)).fetchall():
            yield from page
            last = page[-1][0]

    def _check_folders(self) -> None:
        previous: set[str] = set()
        for (name,) in self._iter_rows("name", "1"):
            folders = _list_parent_folders(name)
            for folder in folders:
                if folder not in previous and self.find_file(folder):
                    why = f"{folder!r} is both a file and the folder of {name!r}, so both cannot be written"
                    raise FetchError(why, "data")
            previous = set(folders)

    def _check_folded_names(self) -> None:
        """Raise FetchError if the disk takes two names, of files or of a file and a folder, for the same."""
        self._database.execute("create table folded (fold text primary key, name text) without rowid")
        with self._database:
            for (name,) in self._iter_rows("name", "1"):
                for folder in _list_parent_folders(name):
                    self._database.execute(
                        "insert or ignore into folded values (?, ?)", (fold_name(folder), f"{folder}/")
                    )
        with self._database:
            for (name,) in self._iter_rows("name", "1"):
                fold = fold_name(name)
                try:
                    self._database.execute("insert into folded values (?, ?)", (fold, name))
                except sqlite3.IntegrityError:
                    other = self._database.execute("select name from folded where fold = ?", (fold,)).fetchone()[0]
                    why = f"{other!r} and {name!r} are the same name on the disk of the cache"
                    remedy = "rename one, or set ROBOTRAIN_CACHE to a case-sensitive disk"
                    raise FetchError(f"{why}, so both cannot be written: {remedy}", "data") from None
        self._database.execute("drop table folded")


def _make_source_file(row: tuple[str, int, str, str, str, str]) -> SourceFile:
    name, size, version, md5, sha256, git = row
    return SourceFile(name=name, size=size, version=version, md5=md5, sha256=sha256, git=git)


def _list_parent_folders(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
