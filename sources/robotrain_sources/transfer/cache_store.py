"""Data in the cache: verified files, complete folders with their locks, and partial downloads beside them.

Who fetches or removes a folder holds its lock exclusively; who uses it shares the lock.
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
from dataclasses import dataclass
from itertools import islice, starmap
from pathlib import Path
from typing import IO, Any

from robotrain_runtime.contract.checkpoint import hash_file
from robotrain_runtime.contract.files import format_size, lock_file, remove_folder, write_atomically

from robotrain_sources.fetching.errors import ContentMismatch, FetchError
from robotrain_sources.transfer.catalog import Catalog, DataSize
from robotrain_sources.transfer.origin import DataOrigin, SourceFile

PIECE_SIZE = 1 << 20
BATCH_SIZE = 64


class FileVerifier:
    """Checks the length and every known digest of one file, whose bytes come in order."""

    def __init__(self, entry: SourceFile) -> None:
        self._entry = entry
        self._length = 0
        self._hashers: dict[str, Any] = {"sha256": hashlib.sha256()}
        if entry.md5 and not entry.sha256:
            self._hashers["md5"] = hashlib.md5(usedforsecurity=False)
        if entry.git:
            self._hashers["git"] = hashlib.sha1(b"blob %d\0" % entry.size, usedforsecurity=False)

    def update(self, piece: Any) -> None:
        """Add the next bytes."""
        self._length += len(piece)
        for digest in self._hashers.values():
            digest.update(piece)

    def update_from_file(self, handle: int, start: int, stop: int) -> None:
        """Add the bytes from `start` to `stop` of an open file."""
        for at in range(start, stop, PIECE_SIZE):
            self.update(os.pread(handle, min(PIECE_SIZE, stop - at), at))

    def finish(self) -> str:
        """Return the SHA-256 of the file. Raise ContentMismatch if it is not the file that was listed."""
        if self._length != self._entry.size:
            raise ContentMismatch(f"{self._length} of {self._entry.size} bytes arrived")
        for name, digest in self._hashers.items():
            if (known := getattr(self._entry, name)) and digest.hexdigest() != known.lower():
                raise ContentMismatch(f"its {name.upper() if name != 'git' else 'git digest'} differs from the listing")
        return str(self._hashers["sha256"].hexdigest())


def write_verified_file(path: Path, entry: SourceFile, content: Any) -> str:
    """Check and write a file that came in one piece; return its SHA-256. Raise ContentMismatch, OSError."""
    verifier = FileVerifier(entry)
    verifier.update(content)
    sha256 = verifier.finish()
    handle = open_for_writing(path, os.O_TRUNC)
    try:
        write_pieces(handle, [content], 0)
    finally:
        os.close(handle)
    return sha256


def open_for_writing(path: Path, extra_flags: int = 0) -> int:
    """Open a file to read and write; create it and its folders if needed."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | extra_flags
    with suppress(FileNotFoundError):
        return os.open(path, flags, 0o644)
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, flags, 0o644)


def write_pieces(handle: int, pieces: Sequence[Any], offset: int) -> None:
    """Write all of `pieces` in a row at an offset."""
    done = os.pwritev(handle, pieces, offset)
    if rest := memoryview(b"".join(pieces))[done:] if done < sum(map(len, pieces)) else b"":
        write_pieces(handle, [rest], offset + done)


def is_unchanged(path: Path, size: int, sha256: str) -> bool:
    """Return whether a file still is what had arrived."""
    try:
        return not path.is_symlink() and path.stat().st_size == size and hash_file(path) == sha256
    except OSError:
        return False


def find_changed_files(files: Path, expected: Iterable[tuple[str, int, str]], pool: Executor) -> Iterator[list[str]]:
    """Yield, in batches, the names of `expected` files (name, size, SHA-256) that changed or are missing."""
    rest = iter(expected)
    while batch := list(islice(rest, BATCH_SIZE)):
        unchanged = pool.map(lambda file: is_unchanged(files / file[0], file[1], file[2]), batch)
        yield [file[0] for file, is_same in zip(batch, unchanged, strict=True) if not is_same]


BOOT_NOTE = "boot"
ANY_BOOT = "any"
"""Boot note of a folder whose every byte was verified after a start of the machine."""
BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


def get_boot_id() -> str:
    """Return the id of this start of the machine; a random one where the system has none."""
    return BOOT_ID_FILE.read_text().strip() if BOOT_ID_FILE.exists() else os.urandom(8).hex()


def write_boot_note(folder: Path) -> None:
    """Record that the folder was written since this start of the machine."""
    (folder / BOOT_NOTE).write_text(get_boot_id() + "\n", encoding="utf-8")


def mark_durable(folder: Path) -> None:
    """Record that the folder is verified to be on the disk. Raise OSError."""
    write_atomically(folder / BOOT_NOTE, f"{ANY_BOOT}\n".encode())


def is_from_this_boot(folder: Path) -> bool:
    """Return whether the folder was written since this start of the machine, or is marked durable."""
    try:
        boot_id = (folder / BOOT_NOTE).read_text(encoding="utf-8").strip()
    except OSError:
        return False
    return boot_id in (get_boot_id(), ANY_BOOT)


FILES = "files"
MANIFEST = "manifest.jsonl"
CATALOG = "catalog.sqlite"
LOCK, PARTIAL = ".lock", ".part"
POLL_SECONDS = 1.0
MAX_SHARED_POLLS = 10
"""Polls of the lock while other runs use a damaged folder."""
_DAMAGE_ERRORS = (OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class CachedFile:
    """One file of a manifest, with the SHA-256 of what arrived."""

    name: str
    size: int
    sha256: str


def get_cache_folder(cache: Path, origin_place: str, digest: str) -> Path:
    """Return the folder of data with that digest; `origin_place` is the origin's `place`."""
    return cache / "data" / origin_place / digest


def find_complete_files(folder: Path) -> Path | None:
    """Return the files of `folder`; None if it is missing, or if the length of a file is wrong."""
    try:
        complete = all(has_length(folder / FILES / file.name, file.size) for file in read_manifest(folder))
    except _DAMAGE_ERRORS:
        return None
    return folder / FILES if complete else None


def has_length(path: Path, size: int) -> bool:
    """Return whether a file exists and has `size` bytes."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def verify_after_boot(folder: Path, pool: Executor) -> bool:
    """Return whether every byte of a complete folder is intact: a power cut may lose what had not reached the disk.

    Reads everything once after a start of the machine, and never again after that.
    """
    if is_from_this_boot(folder):
        return True
    try:
        size = format_size(read_size(folder).size)
        print(f"checking {size} that were fetched before this machine was started: {folder}", flush=True)
        expected = ((file.name, file.size, file.sha256) for file in read_manifest(folder))
        is_intact = not any(find_changed_files(folder / FILES, expected, pool))
    except _DAMAGE_ERRORS:
        return False
    if is_intact:
        with suppress(OSError):  # another user's cache: verified again the next time
            mark_durable(folder)
    return is_intact


def are_files_intact(folder: Path, names: Sequence[str]) -> bool:
    """Return whether these few files are intact, before `verify_after_boot` reads all."""
    if is_from_this_boot(folder):
        return True
    files = (file for file in read_damaged_manifest(folder) if file.name in names)
    return all(is_unchanged(folder / FILES / file.name, file.size, file.sha256) for file in files)


def read_manifest(folder: Path) -> Iterator[CachedFile]:
    """Yield the files that were fetched into `folder`. Raise OSError, ValueError, KeyError, TypeError if damaged."""
    with (folder / MANIFEST).open(encoding="utf-8") as lines:
        expected = json.loads(next(lines, "{}"))["files"]
        for line in lines:
            yield CachedFile(**json.loads(line))
            expected -= 1
    if expected:
        raise ValueError("a part of the manifest is missing")


def read_damaged_manifest(folder: Path) -> Iterator[CachedFile]:
    """Yield what can be read of a manifest."""
    with suppress(*_DAMAGE_ERRORS):
        yield from read_manifest(folder)


def read_size(folder: Path) -> DataSize:
    """Return the size of the data according to its manifest."""
    with (folder / MANIFEST).open(encoding="utf-8") as lines:
        head = json.loads(next(lines))
    return DataSize(head["files"], head["size"], 0)


def find_pinned_folder(parent: Path, source: str, pin: str) -> Path | None:
    """Return the complete folder below `parent` with the data that `source` is pinned to."""
    for path in parent.glob(f"*/{MANIFEST}") if pin else ():
        if "." in path.parent.name:  # being fetched or removed
            continue
        with suppress(OSError, ValueError, AttributeError), path.open(encoding="utf-8") as lines:
            head = json.loads(next(lines, "{}"))
            if (head.get("source"), head.get("pin")) == (source, pin) and find_complete_files(path.parent):
                return path.parent
    return None


def get_partial_folder(folder: Path) -> Path:
    """Return the folder of the partial download of `folder`."""
    return folder.with_name(folder.name + PARTIAL)


def publish_folder(folder: Path, catalog: Catalog, source: str, pin: str) -> None:
    """Rename the complete partial download of `folder`, whose lock is held, to `folder`. Raise FetchError, OSError."""
    part, size = get_partial_folder(folder), catalog.measure()
    if not catalog.is_complete():
        raise RuntimeError(f"{folder} lacks files")
    with (part / MANIFEST).open("w", encoding="utf-8") as lines:
        head = {"schema": 1, "source": source, "pin": pin, "files": size.files, "size": size.size}
        lines.write(json.dumps(head) + "\n")
        for file in starmap(CachedFile, catalog.iter_complete()):
            if not has_length(part / FILES / file.name, file.size):
                raise FetchError(
                    f"{part / FILES / file.name} was changed by another program that writes to this cache", "data"
                )
            lines.write(json.dumps({"name": file.name, "size": file.size, "sha256": file.sha256}) + "\n")
    catalog.close()
    catalog.path.unlink()
    if folder.exists():
        remove_folder(folder)
    os.rename(part, folder)


class FolderLock:
    """The lock of one folder, until `close`. Calls `on_wait` when it has to wait for another process."""

    def __init__(self, folder: Path, on_wait: Callable[[], None]) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._on_wait = on_wait
        self._file: IO[str] = folder.with_name(folder.name + LOCK).open("a")
        with suppress(OSError):  # another user's cache
            os.utime(self._file.fileno())

    def acquire(self, is_intact: Callable[[Path], bool]) -> Path | None:
        """Return the complete files; or None, with the lock held exclusively, if this process has to fetch them.

        `is_intact` verifies complete files, which may take long. Raise FetchError if a damaged folder is in use.
        """
        waited, shared_polls = False, 0
        while True:
            shared = lock_file(self._file.fileno(), fcntl.LOCK_SH)
            if shared and is_from_this_boot(self._folder) and (files := find_complete_files(self._folder)):
                return files
            if lock_file(self._file.fileno()):
                return self._find_intact_files(is_intact)
            shared_polls = shared_polls + 1 if shared else 0
            if shared_polls >= MAX_SHARED_POLLS:  # other runs use the folder, so it cannot be replaced now
                self.share()
                if files := self._find_intact_files(is_intact):
                    return files
                why = f"{self._folder} was changed or damaged, and other runs are using it"
                remedy = "start the run again when they have ended, or set ROBOTRAIN_CACHE to another folder"
                raise FetchError(f"{why}: {remedy}", "data")
            if not waited:
                self._on_wait()
            waited = True
            time.sleep(POLL_SECONDS)

    def share(self) -> None:
        """Let others use the complete folder as well."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def close(self) -> None:
        """Release the lock."""
        self._file.close()

    def _find_intact_files(self, is_intact: Callable[[Path], bool]) -> Path | None:
        files = find_complete_files(self._folder)
        return files if files and is_intact(self._folder) else None


LISTING_NAME = "listing.sqlite"


class PartialDownload:
    """A folder that is being filled; its lock is held."""

    def __init__(self, name: str, pin: str, origin: DataOrigin, folder: Path, listing: Path) -> None:
        self.name = name
        self._pin = pin
        self.origin = origin
        self.folder = folder
        self._partial_folder = get_partial_folder(folder)
        self.files = self._partial_folder / FILES
        self.damaged = folder.exists() and not self._partial_folder.exists()
        if self.damaged:
            os.rename(folder, self._partial_folder)  # its intact files need not be fetched again
        self.files.mkdir(parents=True, exist_ok=True)
        self.catalog = self._open_catalog(listing)

    def verify_arrived(self, pool: Executor) -> None:
        """Mark files that changed since they arrived as missing."""
        for changed in find_changed_files(self.files, self.catalog.iter_complete(), pool):
            self.catalog.record_arrival((name, "") for name in changed)
        same_boot = is_from_this_boot(self._partial_folder)  # else the ranges may not have reached the disk
        partial = {name: self.catalog.find_file(name) for name in self.catalog.list_partial_files()}
        self.catalog.record_arrival(
            (name, "")
            for name, file in partial.items()
            if not (same_boot and file and has_length(self.files / name, file.size))
        )
        self.catalog.sync()
        write_boot_note(self._partial_folder)  # last: after a kill before it, everything is verified again

    def finish(self) -> Path:
        """Publish the folder and return its files."""
        publish_folder(self.folder, self.catalog, self.name, self._pin)
        return self.folder / FILES

    def suspend(self) -> None:
        """Close it; the next try continues."""
        self.catalog.close()

    def _open_catalog(self, listing: Path) -> Catalog:
        """Return the catalog of this listing with the arrivals of an earlier try."""
        path = self._partial_folder / CATALOG
        catalog = self._copy_listing(listing)
        try:
            if path.exists():
                catalog.import_arrivals(path)
            else:
                catalog.record_arrival((file.name, file.sha256) for file in read_damaged_manifest(self._partial_folder))
        except sqlite3.Error:  # the machine lost power: everything is fetched again
            catalog.close()
            catalog = self._copy_listing(listing)
        catalog.close()
        for journal in self._partial_folder.glob(f"{CATALOG}-*"):
            journal.unlink()
        os.replace(catalog.path, path)
        return Catalog(path)

    def _copy_listing(self, listing: Path) -> Catalog:
        """Copy the listing, without the journal that a killed process may have left beside an older copy."""
        for leftover in self._partial_folder.glob(f"{LISTING_NAME}*"):
            leftover.unlink()
        return Catalog(shutil.copyfile(listing, self._partial_folder / LISTING_NAME))
