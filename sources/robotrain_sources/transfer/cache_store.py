"""Data in the cache: verified files, complete folders with their locks, and partial downloads beside them.

Who fetches or removes a folder holds its lock exclusively; who uses it shares the lock.
"""

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from robotrain_runtime.contract.checkpoint import hash_file
from robotrain_runtime.contract.files import format_size, lock_file, remove_folder

from robotrain_sources.fetching.errors import ContentMismatch, FetchError
from robotrain_sources.transfer.origin import STOPPED, DataOrigin, SourceFile

PIECE_SIZE = 1 << 20


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
        for offset in range(start, stop, PIECE_SIZE):
            self.update(os.pread(handle, min(PIECE_SIZE, stop - offset), offset))

    def finish(self) -> str:
        """Return the SHA-256 of the file. Raise ContentMismatch if it is not the file that was listed."""
        if self._length != self._entry.size:
            raise ContentMismatch(f"{self._length} of {self._entry.size} bytes arrived")
        for name, digest in self._hashers.items():
            if (expected_digest := getattr(self._entry, name)) and digest.hexdigest() != expected_digest.lower():
                raise ContentMismatch(f"its {name.upper() if name != 'git' else 'git digest'} differs from the listing")
        return str(self._hashers["sha256"].hexdigest())


def open_for_writing(path: Path) -> int:
    """Open an empty file to write and read; create it and its folders if needed."""
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with suppress(FileNotFoundError):
        return os.open(path, flags, 0o644)
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, flags, 0o644)


def write_at(handle: int, content: Any, offset: int) -> None:
    """Write all of `content` at an offset."""
    remaining_bytes = memoryview(content)
    while remaining_bytes:
        count = os.pwrite(handle, remaining_bytes, offset)
        remaining_bytes, offset = remaining_bytes[count:], offset + count


FILES = "files"
MANIFEST = "manifest.jsonl"
LOCK, PARTIAL = ".lock", ".part"
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


def get_partial_folder(folder: Path) -> Path:
    """Return the folder of the partial download of `folder`."""
    return folder.with_name(folder.name + PARTIAL)


def find_complete_files(folder: Path) -> Path | None:
    """Return the files of `folder`; None if it is missing, or if the length of a file is wrong."""
    try:
        is_complete = all(has_length(folder / FILES / file.name, file.size) for file in read_manifest(folder))
    except _DAMAGE_ERRORS:
        return None
    return folder / FILES if is_complete else None


def has_length(path: Path, size: int) -> bool:
    """Return whether a file exists and has `size` bytes."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def read_manifest(folder: Path) -> Iterator[CachedFile]:
    """Yield the files that arrived in `folder`. Raise OSError, ValueError, KeyError, TypeError if any is missing."""
    with (folder / MANIFEST).open(encoding="utf-8") as manifest_file:
        missing_count = json.loads(next(manifest_file, "{}"))["files"]
        for manifest_line in manifest_file:
            yield CachedFile(**json.loads(manifest_line))
            missing_count -= 1
    if missing_count:
        raise ValueError("a part of the manifest is missing")


def read_partial_manifest(folder: Path) -> Iterator[CachedFile]:
    """Yield the files that arrived in a folder that is not complete, or damaged."""
    with suppress(*_DAMAGE_ERRORS):
        yield from read_manifest(folder)


def count_arrived_bytes(folder: Path) -> int:
    """Return the bytes that an interrupted download takes on the disk, whose files are written over, or that seem
    intact in a damaged folder.
    """
    partial = get_partial_folder(folder)
    if partial.exists():
        paths = (Path(parent, name) for parent, _, file_names in os.walk(partial / FILES) for name in file_names)
        return sum(path.lstat().st_blocks * 512 for path in paths)
    partial_folder, arrived = folder, read_partial_manifest(folder)
    return sum(file.size for file in arrived if has_length(partial_folder / FILES / file.name, file.size))


def read_size(folder: Path) -> tuple[int, int]:
    """Return the number of files and their bytes according to the manifest."""
    with (folder / MANIFEST).open(encoding="utf-8") as manifest_file:
        head = json.loads(next(manifest_file))
    return head["files"], head["size"]


def find_pinned_folder(parent: Path, source: str, pin: str) -> Path | None:
    """Return the complete folder below `parent` with the data that `source` is pinned to."""
    for path in parent.glob(f"*/{MANIFEST}") if pin else ():
        if "." in path.parent.name:  # being fetched or removed
            continue
        with suppress(OSError, ValueError, AttributeError), path.open(encoding="utf-8") as manifest_file:
            head = json.loads(next(manifest_file, "{}"))
            if (head.get("source"), head.get("pin")) == (source, pin) and find_complete_files(path.parent):
                return path.parent
    return None


POLL_SECONDS = 1.0
MAX_SHARED_POLLS = 10
"""Polls of the lock while other runs use a damaged folder."""


class FolderLock:
    """The lock of one folder, until `close`. Calls `on_wait` when it has to wait for another run.

    :param stopped: set once nobody waits for the folder any more.
    """

    def __init__(self, folder: Path, on_wait: Callable[[], object], stopped: threading.Event) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._on_wait = on_wait
        self._stopped = stopped
        self._file: IO[str] = folder.with_name(folder.name + LOCK).open("a")
        with suppress(OSError):  # another user's cache
            os.utime(self._file.fileno())

    def acquire(self) -> Path | None:
        """Return the complete files; or None, with the lock held exclusively, if this process has to fetch them.

        Raise FetchError if a damaged folder is in use, or after a stop.
        """
        waited, shared_polls = False, 0
        while True:
            is_shared = lock_file(self._file.fileno(), fcntl.LOCK_SH)
            if is_shared and (files := find_complete_files(self._folder)):
                return files
            if lock_file(self._file.fileno()):
                return find_complete_files(self._folder)
            shared_polls = shared_polls + 1 if is_shared else 0
            if shared_polls >= MAX_SHARED_POLLS:  # other runs use the folder, so it cannot be replaced now
                reason = f"{self._folder} was changed or damaged, and other runs are using it"
                remedy = "start the run again when they have ended, or set ROBOTRAIN_CACHE to another folder"
                raise FetchError(f"{reason}: {remedy}", "data")
            if not waited:
                self._on_wait()
            waited = True
            if self._stopped.wait(POLL_SECONDS):
                raise FetchError(STOPPED)

    def share(self) -> None:
        """Let others use the complete folder as well."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def close(self) -> None:
        """Release the lock."""
        self._file.close()


HASH_THREADS = 2


class PartialDownload:
    """A folder that is being filled; its lock is held. Each file that has arrived gets a line in its manifest."""

    def __init__(
        self,
        name: str,
        pin: str,
        origin: DataOrigin,
        folder: Path,
        entries: Sequence[SourceFile],
        log_line: Callable[[str], object],
    ) -> None:
        self.name = name
        self._log_line = log_line
        self.origin = origin
        self.folder = folder
        self.entries = entries
        size = sum(source_file.size for source_file in entries)
        head = {"schema": 1, "source": name, "pin": pin, "files": len(entries), "size": size}
        self._partial_folder = get_partial_folder(folder)
        self.files = self._partial_folder / FILES
        self._manifest_lock = threading.Lock()
        if folder.exists() and not self._partial_folder.exists():
            log_line(f"{folder} was changed or damaged: fetching its damaged files again")
            os.rename(folder, self._partial_folder)  # its intact files need not be fetched again
        self.files.mkdir(parents=True, exist_ok=True)
        intact_files = self._read_intact_files()
        self.missing = [source_file for source_file in entries if source_file.name not in intact_files]
        path = self._partial_folder / f"{MANIFEST}.new"
        self._manifest = path.open("w", encoding="utf-8", buffering=1)
        self._manifest.writelines(
            json.dumps(manifest_record) + "\n" for manifest_record in (head, *map(asdict, intact_files.values()))
        )
        os.replace(path, self._partial_folder / MANIFEST)

    def record(self, entry: SourceFile, sha256: str) -> None:
        """Record a complete, verified file."""
        with self._manifest_lock:
            self._manifest.write(json.dumps(asdict(CachedFile(entry.name, entry.size, sha256))) + "\n")

    def close(self) -> None:
        """Close the manifest: nothing more is recorded."""
        with self._manifest_lock:
            self._manifest.close()

    def finish(self) -> Path:
        """Rename the complete folder to its name, and return its files. Raise FetchError, OSError."""
        names_by_inode: dict[int, str] = {}
        for name, size in ((source_file.name, source_file.size) for source_file in self.entries):
            path = self.files / name
            if path.exists() and (other_name := names_by_inode.setdefault(path.stat().st_ino, name)) != name:
                reason = (
                    f"{other_name!r} and {name!r} are the same name on the disk of the cache, so both cannot be written"
                )
                raise FetchError(f"{reason}: rename one, or set ROBOTRAIN_CACHE to a case-sensitive disk", "data")
            if not has_length(path, size):
                raise FetchError(f"{path} was changed by another program that writes to this cache", "data")
        self.close()
        if self.folder.exists():
            remove_folder(self.folder)
        os.rename(self._partial_folder, self.folder)
        return self.folder / FILES

    def _read_intact_files(self) -> dict[str, CachedFile]:
        """Read every file that an earlier try recorded, and return those that are as they were."""
        listed_sizes = {source_file.name: source_file.size for source_file in self.entries}
        recorded_files = {file.name: file for file in read_partial_manifest(self._partial_folder)}
        arrived_files = [file for file in recorded_files.values() if listed_sizes.get(file.name) == file.size]
        if arrived_files:
            size = format_size(sum(file.size for file in arrived_files))
            self._log_line(f"checking {size} of {self.name} from an earlier try")
        with ThreadPoolExecutor(HASH_THREADS) as pool:
            is_intact = pool.map(self._is_intact, arrived_files)
            return {
                file.name: file for file, is_unchanged in zip(arrived_files, is_intact, strict=True) if is_unchanged
            }

    def _is_intact(self, file: CachedFile) -> bool:
        path = self.files / file.name
        try:
            return not path.is_symlink() and path.stat().st_size == file.size and hash_file(path) == file.sha256
        except OSError:
            return False
