"""Data in the cache: complete folders with their locks, and partial downloads beside them.

Whoever fetches or removes it holds the lock alone, those that use it share it.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice, starmap
from pathlib import Path
from typing import IO, Any

from robotrain_sources.fetching.errors import ContentMismatch, FetchError
from robotrain_sources.fetching.files import format_size
from robotrain_sources.transfer.catalog import Catalog, DataSize
from robotrain_sources.transfer.origin import DataOrigin, SourceFile

PIECE_SIZE = 1 << 20
BATCH_SIZE = 64


class FileVerifier:
    """Of one file, as its bytes come in order."""

    def __init__(self, entry: SourceFile) -> None:
        self._entry = entry
        self._length = 0
        self._hashers: dict[str, Any] = {"sha256": hashlib.sha256()}
        if entry.md5 and not entry.sha256:
            self._hashers["md5"] = hashlib.md5(usedforsecurity=False)
        if entry.git:
            self._hashers["git"] = hashlib.sha1(b"blob %d\0" % entry.size, usedforsecurity=False)

    def update(self, piece: Any) -> None:
        """The next bytes."""
        self._length += len(piece)
        for digest in self._hashers.values():
            digest.update(piece)

    def update_from_file(self, handle: int, start: int, stop: int) -> None:
        """The next bytes, from a file."""
        for at in range(start, stop, PIECE_SIZE):
            self.update(os.pread(handle, min(PIECE_SIZE, stop - at), at))

    def finish(self) -> str:
        """The SHA-256 of the whole file. Raises Different when it is not the file that was listed."""
        if self._length != self._entry.size:
            raise ContentMismatch(f"{self._length} bytes came of {self._entry.size}")
        for name, digest in self._hashers.items():
            if (known := getattr(self._entry, name)) and digest.hexdigest() != known.lower():
                raise ContentMismatch(
                    f"its {name.upper() if name != 'git' else 'digest'} is not the one that is known of it"
                )
        return str(self._hashers["sha256"].hexdigest())


def write_verified_file(path: Path, entry: SourceFile, content: Any) -> str:
    """Check and write a file that came in one piece; its own digest. Raises Different, OSError."""
    digests = FileVerifier(entry)
    digests.update(content)
    own = digests.finish()
    handle = open_for_writing(path, os.O_TRUNC)
    try:
        write_pieces(handle, [content], 0)
    finally:
        os.close(handle)
    return own


def open_for_writing(path: Path, extra_flags: int = 0) -> int:
    """A handle to read and write the file, made with its folders where there is none."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | extra_flags
    with suppress(FileNotFoundError):
        return os.open(path, flags, 0o644)
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, flags, 0o644)


def write_pieces(handle: int, pieces: Sequence[Any], offset: int) -> None:
    """All of `pieces`, one after the other, at their place."""
    done = os.pwritev(handle, pieces, offset)
    if left := memoryview(b"".join(pieces))[done:] if done < sum(map(len, pieces)) else b"":
        write_pieces(handle, [left], offset + done)


def is_unchanged(path: Path, size: int, sha256: str) -> bool:
    """Whether the file is still what had arrived."""
    digest = hashlib.sha256()
    try:
        if path.is_symlink() or path.stat().st_size != size:
            return False
        for piece in _read_pieces(path):
            digest.update(piece)
    except OSError:
        return False
    return digest.hexdigest() == sha256


def find_changed_files(files: Path, expected: Iterable[tuple[str, int, str]], pool: Executor) -> Iterator[list[str]]:
    """The names of those of `kept` (name, size, own digest) below `files` that are not any more what had arrived."""
    left = iter(expected)
    while some := list(islice(left, BATCH_SIZE)):
        fine = pool.map(lambda one: is_unchanged(files / one[0], one[1], one[2]), some)
        yield [one[0] for one, right in zip(some, fine, strict=True) if not right]


def _read_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as content:
        while piece := content.read(PIECE_SIZE):
            yield piece


BOOT_NOTE = "boot"
ANY_BOOT = "any"
"""Noted of a folder whose every byte was read back after a start."""
BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


def get_boot_id() -> str:
    """What tells this start from others; a new one each time where the system does not say."""
    return BOOT_ID_FILE.read_text().strip() if BOOT_ID_FILE.exists() else os.urandom(8).hex()


def write_boot_note(folder: Path) -> None:
    """That what is written there is written in this start."""
    (folder / BOOT_NOTE).write_text(get_boot_id() + "\n", encoding="utf-8")


def mark_durable(folder: Path) -> None:
    """That it can be believed whatever happens to the machine. Raises OSError."""
    scratch = folder / f".{BOOT_NOTE}.{os.urandom(4).hex()}"
    scratch.write_text(ANY_BOOT + "\n", encoding="utf-8")
    os.replace(scratch, folder / BOOT_NOTE)


def is_from_this_boot(folder: Path) -> bool:
    """Whether it was written in this start, or can be believed all the same."""
    try:
        said = (folder / BOOT_NOTE).read_text(encoding="utf-8").strip()
    except OSError:
        return False
    return said in (get_boot_id(), ANY_BOOT)


FILES = "files"
MANIFEST = "manifest.jsonl"
CATALOG = "catalog.sqlite"
LOCK, PARTIAL = ".lock", ".part"
POLL_SECONDS = 1.0
MAX_SHARED_POLLS = 10
"""How often others are waited for that use what is not whole."""
_OTHER_WRITER = "something else writes to this cache"
_DAMAGE_ERRORS = (OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class CachedFile:
    """One file of a manifest. sha256: of what arrived."""

    name: str
    size: int
    sha256: str


def get_cache_folder(cache: Path, origin_place: str, digest: str) -> Path:
    """Where data with that digest lies. of: `Origin.place`."""
    return cache / "data" / origin_place / digest


def find_complete_files(folder: Path) -> Path | None:
    """The files of `folder`; None while it is not there, or when a file of it is not as long as what was fetched."""
    try:
        complete = all(has_expected_length(folder / FILES, kept) for kept in read_manifest(folder))
    except _DAMAGE_ERRORS:
        return None
    return folder / FILES if complete else None


def has_expected_length(files: Path, file: CachedFile) -> bool:
    """Whether that file is there, as long as it was."""
    try:
        return (files / file.name).stat().st_size == file.size
    except OSError:
        return False


def verify_after_boot(folder: Path, pool: Executor) -> bool:
    """Whether every byte of what `find` finds is there: a power cut may take what had not reached the disk.

    All are read once after each start of the machine, and never again once they are known to lie on the disk.
    """
    if is_from_this_boot(folder):
        return True
    try:
        much = format_size(read_size(folder).size)
        print(f"checking {much} that were fetched before this machine was started: {folder}", flush=True)
        every = ((kept.name, kept.size, kept.sha256) for kept in read_manifest(folder))
        whole = not any(find_changed_files(folder / FILES, every, pool))
    except _DAMAGE_ERRORS:
        return False
    if whole:
        with suppress(OSError):  # a cache of somebody else's: it is looked at again the next time
            mark_durable(folder)
    return whole


def are_files_intact(folder: Path, names: Sequence[str]) -> bool:
    """Whether these few of its files can be read as they are, before `survived` has read all."""
    if is_from_this_boot(folder):
        return True
    wanted = (kept for kept in read_damaged_manifest(folder) if kept.name in names)
    return all(is_unchanged(folder / FILES / kept.name, kept.size, kept.sha256) for kept in wanted)


def read_manifest(folder: Path) -> Iterator[CachedFile]:
    """The files that were fetched into it. Raises OSError, ValueError, KeyError, TypeError when it is damaged."""
    with (folder / MANIFEST).open(encoding="utf-8") as lines:
        expected = json.loads(next(lines, "{}"))["files"]
        for line in lines:
            yield CachedFile(**json.loads(line))
            expected -= 1
    if expected:
        raise ValueError("a part of the manifest is missing")


def read_damaged_manifest(folder: Path) -> Iterator[CachedFile]:
    """What can be read of a manifest."""
    with suppress(*_DAMAGE_ERRORS):
        yield from read_manifest(folder)


def read_size(folder: Path) -> DataSize:
    """How much lies there, as its manifest says."""
    with (folder / MANIFEST).open(encoding="utf-8") as lines:
        head = json.loads(next(lines))
    return DataSize(head["files"], head["size"], 0)


def find_pinned_folder(parent: Path, source: str, pin: str) -> Path | None:
    """The folder below `above` that holds complete what `source` was pinned to."""
    for path in parent.glob(f"*/{MANIFEST}") if pin else ():
        if "." in path.parent.name:  # on its way, or being removed
            continue
        with suppress(OSError, ValueError, AttributeError), path.open(encoding="utf-8") as lines:
            head = json.loads(next(lines, "{}"))
            if (head.get("source"), head.get("pin")) == (source, pin) and find_complete_files(path.parent):
                return path.parent
    return None


def get_partial_folder(folder: Path) -> Path:
    """Where it is fetched to first."""
    return folder.with_name(folder.name + PARTIAL)


def publish_folder(folder: Path, catalog: Catalog, source: str, pin: str) -> None:
    """Make the complete scratch folder of `folder` that folder; its lock is held. Raises Refused, OSError."""
    part, said = get_partial_folder(folder), catalog.measure()
    if not catalog.is_complete():
        raise RuntimeError(f"{folder} lacks files")
    with (part / MANIFEST).open("w", encoding="utf-8") as lines:
        head = {"schema": 1, "source": source, "pin": pin, "files": said.files, "size": said.size}
        lines.write(json.dumps(head) + "\n")
        for kept in starmap(CachedFile, catalog.iter_complete()):
            if not has_expected_length(part / FILES, kept):
                raise FetchError(
                    f"{part / FILES / kept.name} is not any more what was written there: {_OTHER_WRITER}", "data"
                )
            lines.write(json.dumps(asdict(kept)) + "\n")
    catalog.close()
    catalog.path.unlink()
    remove_folder(folder)
    os.rename(part, folder)


def remove_folder(folder: Path) -> None:
    """Remove it, so that nobody ever finds half of it."""
    if folder.exists():
        aside = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}")
        os.rename(folder, aside)
        shutil.rmtree(aside)


class FolderLock:
    """The lock of one folder, until `close`. here: what to call when it has to wait for another process."""

    def __init__(self, folder: Path, on_wait: Callable[[], None]) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._on_wait = on_wait
        self._file: IO[str] = folder.with_name(folder.name + LOCK).open("a")
        with suppress(OSError):  # a cache of somebody else's
            os.utime(self._file.fileno())

    def acquire(self, is_intact: Callable[[Path], bool]) -> Path | None:
        """The complete files, the lock shared or held alone; or None, held alone: they are this process's to fetch.

        whole: whether what is found can be believed, which may take long. Raises Refused.
        """
        waited, used = False, 0
        while True:
            shared = self._try_lock(fcntl.LOCK_SH | fcntl.LOCK_NB)
            if shared and is_from_this_boot(self._folder) and (files := find_complete_files(self._folder)):
                return files
            if self._try_lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
                return self._find_intact_files(is_intact)
            used = used + 1 if shared else 0
            if used >= MAX_SHARED_POLLS:
                return self._share_or_raise(is_intact)
            if not waited:
                self._on_wait()
            waited = True
            time.sleep(POLL_SECONDS)

    def share(self) -> None:
        """Let others use it too, now that it is complete."""
        self._try_lock(fcntl.LOCK_SH)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def _find_intact_files(self, is_intact: Callable[[Path], bool]) -> Path | None:
        files = find_complete_files(self._folder)
        return files if files and is_intact(self._folder) else None

    def _share_or_raise(self, is_intact: Callable[[Path], bool]) -> Path | None:
        """What others go on using, and nobody can mend meanwhile."""
        self._try_lock(fcntl.LOCK_SH)
        if files := self._find_intact_files(is_intact):
            return files
        why = f"{self._folder} had been changed or damaged, and other runs are using it"
        raise FetchError(
            f"{why}: start the run again when they have ended, or set ROBOTRAIN_CACHE to another folder", "data"
        )

    def _try_lock(self, operation: int) -> bool:
        try:
            fcntl.flock(self._file, operation)
        except BlockingIOError:
            return False
        return True


LISTING_NAME = "listing.sqlite"


class PartialDownload:
    """One folder that is being filled; its lock is held. name, pin: of the source."""

    def __init__(self, name: str, pin: str, origin: DataOrigin, folder: Path, listing: Path) -> None:
        self.name = name
        self._pin = pin
        self.origin = origin
        self.folder = folder
        self._partial_folder = get_partial_folder(folder)
        self.files = self._partial_folder / FILES
        self.damaged = folder.exists() and not self._partial_folder.exists()
        if self.damaged:
            os.rename(folder, self._partial_folder)  # what is whole of it need not be fetched again
        self.files.mkdir(parents=True, exist_ok=True)
        self.catalog = self._open_catalog(listing)

    def verify_arrived(self, pool: Executor) -> None:
        """Take back what is not any more what had arrived."""
        for wrong in find_changed_files(self.files, self.catalog.iter_complete(), pool):
            self.catalog.record_arrival((name, "") for name in wrong)
        same_boot = is_from_this_boot(self._partial_folder)  # else what was written then may not be on the disk
        self.catalog.record_arrival(
            (name, "") for name in self.catalog.list_partial_files() if not (same_boot and self._has_full_length(name))
        )
        self.catalog.sync()
        write_boot_note(self._partial_folder)  # last: a kill before it takes back once more what was lost

    def finish(self) -> Path:
        """Its files, in their place."""
        publish_folder(self.folder, self.catalog, self.name, self._pin)
        return self.folder / FILES

    def suspend(self) -> None:
        """Leave it for the next try."""
        self.catalog.close()

    def _open_catalog(self, listing: Path) -> Catalog:
        """The catalog of this listing, with what an earlier one says has arrived."""
        there = self._partial_folder / CATALOG
        catalog = self._copy_listing(listing)
        try:
            if there.exists():
                catalog.import_arrivals(there)
            else:
                catalog.record_arrival((kept.name, kept.sha256) for kept in read_damaged_manifest(self._partial_folder))
        except sqlite3.Error:  # the machine lost power: everything is fetched again
            catalog.close()
            catalog = self._copy_listing(listing)
        catalog.close()
        for journal in self._partial_folder.glob(f"{CATALOG}-*"):
            journal.unlink()
        os.replace(catalog.path, there)
        return Catalog(there)

    def _copy_listing(self, listing: Path) -> Catalog:
        """A copy of the listing; no journal beside it that a killed process left is taken for its own."""
        for left in self._partial_folder.glob(f"{LISTING_NAME}*"):
            left.unlink()
        return Catalog(shutil.copyfile(listing, self._partial_folder / LISTING_NAME))

    def _has_full_length(self, name: str) -> bool:
        entry = self.catalog.find_file(name)
        try:
            return entry is not None and (self.files / name).stat().st_size == entry.size
        except OSError:
            return False
