"""Data in the cache: complete folders, and beside them what has arrived of others.

`data/PLACE/DIGEST` has `files/` and a manifest. While it is filled it is called `DIGEST.part`, where each file of
`files/` is whole, verified and recorded with its digest; what is on its way is in `incoming/`. Who fills or removes a
folder holds its lock alone; who uses it shares the lock.
"""

import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from robotrain_runtime.contract.files import lock_file, remove_folder

from robotrain_sources.fetching.errors import ContentMismatch, FetchError
from robotrain_sources.transfer.origin import STOPPED, SourceFile

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

    def update_from_file(self, path: Path, start: int, stop: int) -> None:
        """Add the bytes from `start` to `stop` of a file. Raise OSError, also if it is a link."""
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb", buffering=0) as file:
            file.seek(start)
            while start < stop and (piece := file.read(min(PIECE_SIZE, stop - start))):
                self.update(piece)
                start += len(piece)

    def finish(self) -> str:
        """Return the SHA-256 of the file. Raise ContentMismatch if it is not the file that was listed."""
        if self._length != self._entry.size:
            raise ContentMismatch(f"{self._length} of {self._entry.size} bytes arrived")
        for name, digest in self._hashers.items():
            if (expected_digest := getattr(self._entry, name)) and digest.hexdigest() != expected_digest.lower():
                raise ContentMismatch(f"its {name.upper() if name != 'git' else 'git digest'} differs from the listing")
        return str(self._hashers["sha256"].hexdigest())


def verify_file(path: Path, entry: SourceFile) -> str:
    """Return the SHA-256 of a file on the disk. Raise ContentMismatch if it is not the one that was listed, OSError."""
    verifier = FileVerifier(entry)
    verifier.update_from_file(path, 0, path.lstat().st_size)
    return verifier.finish()


FILES, INCOMING, MANIFEST = "files", "incoming", "manifest.jsonl"
ARRIVED = "arrived.jsonl"
"""In a partial folder, a line for each file of it, as in the manifest: a listing does not always know a digest."""
LOCK, PARTIAL = ".lock", ".part"
POLL_SECONDS = 1.0
MAX_SHARED_POLLS = 10
"""Polls of the lock while other runs use a damaged folder."""


class CacheFolder:
    """The folder of the data with one digest, and its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(path.name + PARTIAL)
        self._lock: IO[str] | None = None
        self._records: IO[str] | None = None
        self._recording = threading.Lock()
        self.recorded: Mapping[str, Mapping[str, Any]] = {}
        """What an earlier try left in the partial folder, by name."""

    def find_files(self) -> Path | None:
        """Return the complete files; None if the folder is missing, or if the length of a file is wrong."""
        try:
            with (self.path / MANIFEST).open(encoding="utf-8") as manifest:
                count = json.loads(manifest.readline())["files"]
                for line in map(json.loads, manifest):
                    count -= (self.path / FILES / line["name"]).stat().st_size == line["size"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return None if count else self.path / FILES

    def read_head(self) -> Mapping[str, Any]:
        """Return the manifest's first line: source, pin, files and size. Raise OSError, ValueError."""
        with (self.path / MANIFEST).open(encoding="utf-8") as manifest:
            head: Mapping[str, Any] = json.loads(manifest.readline())
        return head

    def count_arrived_bytes(self) -> int:
        """Return the bytes on the disk of what is whole of an earlier try, or of a damaged folder."""
        folder = self.part if self.part.exists() else self.path
        count = 0
        for name, record in self._read_records(folder).items():
            with suppress(OSError):
                status = (folder / FILES / name).lstat()
                count += status.st_blocks * 512 if status.st_size == record["size"] else 0
        return count

    def _read_records(self, folder: Path) -> dict[str, Mapping[str, Any]]:
        """Return the lines of files that arrived in a folder, by name, as far as they can be read."""
        records: dict[str, Mapping[str, Any]] = {}
        for file_name in (MANIFEST, ARRIVED):
            with suppress(OSError, ValueError, KeyError), (folder / file_name).open(encoding="utf-8") as lines:
                for record in map(json.loads, lines):
                    if "sha256" in record:  # the head of a manifest has none
                        records[record["name"]] = record
        return records

    def acquire(self, on_wait: Callable[[], object], stopped: threading.Event) -> Path | None:
        """Take the lock. Return the complete files, or None if this process has to fetch them, with the lock alone.

        Raise FetchError if a damaged folder is in use, or after a stop.
        """
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self._lock = self.path.with_name(self.path.name + LOCK).open("a")
        with suppress(OSError):  # another user's cache
            os.utime(lock.fileno())
        polls = shared_polls = 0
        while True:
            is_shared = lock_file(lock.fileno(), fcntl.LOCK_SH)
            if is_shared and (files := self.find_files()):
                return files
            if lock_file(lock.fileno()):
                return self.find_files()
            shared_polls = shared_polls + 1 if is_shared else 0
            if shared_polls >= MAX_SHARED_POLLS:
                reason = f"{self.path} was changed or damaged, and other runs are using it"
                remedy = "start the run again when they have ended, or set ROBOTRAIN_CACHE to another folder"
                raise FetchError(f"{reason}: {remedy}", "data")
            if not polls:
                on_wait()
            polls += 1
            if stopped.wait(POLL_SECONDS):
                raise FetchError(STOPPED)

    def share(self) -> None:
        """Let others use the complete folder as well."""
        assert self._lock is not None
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def close(self) -> None:
        """Release the lock."""
        for file in filter(None, (self._records, self._lock)):
            file.close()

    def begin(self, log_line: Callable[[str], object]) -> None:
        """Make the partial folder, with what an earlier try left in it. Raise OSError."""
        if self.path.exists() and not self.part.exists():
            log_line(f"{self.path} was changed or damaged: fetching its damaged files again")
            os.rename(self.path, self.part)
        shutil.rmtree(self.part / INCOMING, ignore_errors=True)
        (self.part / INCOMING).mkdir(parents=True)
        (self.part / FILES).mkdir(exist_ok=True)
        self.recorded = self._read_records(self.part)
        path = self.part / ARRIVED
        path.with_suffix(".new").write_text("".join(json.dumps(record) + "\n" for record in self.recorded.values()))
        os.replace(path.with_suffix(".new"), path)
        self._records = path.open("a", encoding="utf-8", buffering=1)

    def record(self, entry: SourceFile, sha256: str) -> None:
        """Record a verified file, before it gets its name."""
        with self._recording:
            assert self._records is not None
            self._records.write(_format_record(entry, sha256))

    def finish(self, source: str, pin: str, entries: Sequence[SourceFile], digests: Mapping[str, str]) -> Path:
        """Write the manifest and give the folder its name; return its files. Raise FetchError, OSError."""
        assert self._records is not None
        self._records.close()
        names: dict[int, str] = {}
        for entry in entries:
            stat = (self.part / FILES / entry.name).stat()
            if stat.st_size != entry.size:
                raise FetchError(f"{self.part / FILES / entry.name} was changed by another program", "data")
            if (other := names.setdefault(stat.st_ino, entry.name)) != entry.name:
                reason = f"{other!r} and {entry.name!r} are the same name on the disk of the cache"
                remedy = "rename one, or set ROBOTRAIN_CACHE to a case-sensitive disk"
                raise FetchError(f"{reason}, so both cannot be written: {remedy}", "data")
        size = sum(entry.size for entry in entries)
        head = {"schema": 1, "source": source, "pin": pin, "files": len(entries), "size": size}
        with (self.part / MANIFEST).open("w", encoding="utf-8") as manifest:
            manifest.write(json.dumps(head) + "\n")
            manifest.writelines(_format_record(entry, digests[entry.name]) for entry in entries)
        shutil.rmtree(self.part / INCOMING)
        (self.part / ARRIVED).unlink()
        if self.path.exists():
            remove_folder(self.path)
        os.rename(self.part, self.path)
        return self.path / FILES


def _format_record(entry: SourceFile, sha256: str) -> str:
    return json.dumps({"name": entry.name, "size": entry.size, "sha256": sha256}) + "\n"


def find_pinned_folder(parent: Path, sources: Collection[str], pin: str) -> CacheFolder | None:
    """Return the complete folder below `parent` with the data that one of `sources` is pinned to."""
    for path in parent.glob(f"*/{MANIFEST}") if pin else ():
        folder = CacheFolder(path.parent)
        if "." in folder.path.name:  # being fetched or removed
            continue
        with suppress(OSError, ValueError, AttributeError):
            head = folder.read_head()
            if head.get("pin") == pin and head.get("source") in sources and folder.find_files():
                return folder
    return None
