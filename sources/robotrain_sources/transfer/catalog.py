"""The files of a source, on disk: as many as there are, in the memory that a page of them takes."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path

from robotrain_sources.fetching import names
from robotrain_sources.fetching.answer import Refused
from robotrain_sources.transfer import digest
from robotrain_sources.transfer.folding import folded
from robotrain_sources.transfer.origin import Entry

PAGE = 1000
BLOCK = 4096
_TABLES = """
create table files (name text primary key, size integer, version text, md5 text, sha256 text, git text,
                    own text default '') without rowid;
create index by_size on files (size, name);
create table ranges (name text, start integer, stop integer);
"""
_COLUMNS = "name, size, version, md5, sha256, git"


@dataclass(frozen=True, slots=True)
class Total:
    """How much it is. room: the bytes that it takes on a disk."""

    files: int
    size: int
    room: int


class Catalog:
    """Files with what is known of them, and what of them has arrived: own is the SHA-256 of one that is complete.

    Nothing that a process did before it was killed is lost; a power cut may damage it, which sqlite3 then says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        new = not path.exists()
        self._base = sqlite3.connect(path, check_same_thread=False)
        self._base.execute("pragma synchronous = off")
        if new:
            self._base.executescript(_TABLES)

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def sync(self) -> None:
        """Have what was noted on the disk."""
        with self.path.open("rb") as content:
            os.fsync(content.fileno())

    def fill(self, entries: Iterable[Entry], folds: bool = False) -> None:
        """Add a listing. Raises Refused for names that cannot be files below one folder.

        folds: whether it lies on a disk that does not tell all names apart.
        """
        listed = iter(entries)
        while page := list(islice(listed, PAGE)):
            for entry in page:
                _check(entry)
            try:
                with self._base:
                    self._base.executemany(
                        f"insert into files ({_COLUMNS}) values (?, ?, ?, ?, ?, ?)", map(astuple, page)
                    )
            except sqlite3.IntegrityError:
                raise Refused("one name is listed twice, so its files cannot both be written", "data") from None
        self._check_folders()
        if folds:
            self._check_folded()

    def total(self) -> Total:
        """Of all files."""
        room = f"(size + {BLOCK - 1}) / {BLOCK} * {BLOCK}"
        return Total(
            *self._base.execute(f"select count(*), ifnull(sum(size), 0), ifnull(sum({room}), 0) from files").fetchone()
        )

    def is_complete(self) -> bool:
        """Whether every file is."""
        return self._base.execute("select 1 from files where own = '' limit 1").fetchone() is None

    def arrived(self) -> int:
        """The bytes that have."""
        complete = self._base.execute("select ifnull(sum(size), 0) from files where own != ''").fetchone()[0]
        return int(complete + self._base.execute("select ifnull(sum(stop - start), 0) from ranges").fetchone()[0])

    def digest(self) -> str:
        """What identifies them together."""
        return digest.of(self._sorted())

    def find(self, name: str) -> Entry | None:
        """The file of that name."""
        row = self._base.execute(f"select {_COLUMNS} from files where name = ?", (name,)).fetchone()
        return _entry(row) if row else None

    def smallest(self) -> Entry | None:
        """One that is quickly read, with something in it."""
        query = f"select {_COLUMNS} from files where size > 0 order by size, name limit 1"
        row = self._base.execute(query).fetchone()
        return _entry(row) if row else None

    def left(self) -> Iterator[Entry]:
        """Those that are not complete, the largest first; others may be noted meanwhile."""
        size, name = 2**62, ""
        query = f"select {_COLUMNS} from files where (size, name) < (?, ?) and own = ''"
        while page := self._base.execute(
            f"{query} order by size desc, name desc limit {PAGE}", (size, name)
        ).fetchall():
            yield from map(_entry, page)
            name, size = page[-1][:2]

    def complete(self) -> Iterator[tuple[str, int, str]]:
        """Name, size and own digest of those that are, by name; others may be noted meanwhile."""
        last = ""
        query = "select name, size, own from files where name > ? and own != '' order by name limit ?"
        while page := self._base.execute(query, (last, PAGE)).fetchall():
            yield from page
            last = page[-1][0]

    def note(self, files: Iterable[tuple[str, str]], ranges: Iterable[tuple[str, int, int]] = ()) -> None:
        """That files (name, own digest; empty to take it back) and ranges (name, start, stop) arrived."""
        files = list(files)
        with self._base:
            self._base.executemany("insert into ranges values (?, ?, ?)", ranges)
            self._base.executemany("update files set own = ? where name = ?", ((own, name) for name, own in files))
            self._base.executemany("delete from ranges where name = ?", ((name,) for name, _ in files))

    def ranges(self, name: str) -> list[tuple[int, int]]:
        """The parts of an incomplete file that arrived, in order."""
        query = "select start, stop from ranges where name = ? order by start"
        return self._base.execute(query, (name,)).fetchall()

    def in_parts(self) -> list[str]:
        """The files of which parts arrived."""
        return [name for (name,) in self._base.execute("select distinct name from ranges").fetchall()]

    def take_over(self, earlier: Path) -> None:
        """What another catalog of the same data says has arrived. Raises sqlite3.Error when it cannot be read."""
        self._base.execute("attach ? as earlier", (str(earlier),))
        try:
            with self._base:
                query = "select own from earlier.files as old where old.name = files.name"
                self._base.execute(f"update files set own = ifnull(({query}), '')")
                self._base.execute("insert into ranges select name, start, stop from earlier.ranges")
        finally:
            self._base.execute("detach earlier")

    def _sorted(self) -> Iterator[Entry]:
        last = ""
        query = f"select {_COLUMNS} from files where name > ? order by name limit ?"
        while page := self._base.execute(query, (last, PAGE)).fetchall():
            yield from map(_entry, page)
            last = page[-1][0]

    def _check_folders(self) -> None:
        above: set[str] = set()
        for entry in self._sorted():
            folders = names.folders(entry.name)
            for folder in folders:
                if folder not in above and self.find(folder):
                    raise Refused(names.both(folder, entry.name), "data")
            above = set(folders)

    def _check_folded(self) -> None:
        """The names of files that one disk takes for the same, or for that of a folder, are two or more."""
        self._base.execute("create table folded (fold text primary key, name text) without rowid")
        with self._base:
            for entry in self._sorted():
                for folder in names.folders(entry.name):
                    self._base.execute("insert or ignore into folded values (?, ?)", (folded(folder), f"{folder}/"))
        with self._base:
            for entry in self._sorted():
                self._put_folded(entry.name)
        self._base.execute("drop table folded")

    def _put_folded(self, name: str) -> None:
        try:
            self._base.execute("insert into folded values (?, ?)", (folded(name), name))
        except sqlite3.IntegrityError:
            other = self._base.execute("select name from folded where fold = ?", (folded(name),)).fetchone()[0]
            both = f"{other!r} and {name!r} have one name on the disk of the cache, so they cannot both be written"
            raise Refused(
                f"{both}: rename one, or set ROBOTRAIN_CACHE to a disk that tells them apart", "data"
            ) from None


def _entry(row: tuple[str, int, str, str, str, str]) -> Entry:
    name, size, version, md5, sha256, git = row
    return Entry(name=name, size=size, version=version, md5=md5, sha256=sha256, git=git)


def _check(entry: Entry) -> None:
    if wrong := names.unsafe(entry.name):
        raise Refused(wrong, "data")
    if entry.size < 0 or not entry.identity:
        raise Refused(f"{entry.name!r} cannot be told from another state of it", "data")
