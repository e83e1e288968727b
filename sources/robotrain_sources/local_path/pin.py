"""Pins of local folders: a digest of every byte, computed in parallel and cached file by file.

A small folder is read each time: that is as quick as to look at what was kept of it.

A copy has the same digest, on every machine: times and rights do not count, nor what `listing` leaves out.
"""

import contextlib
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from robotrain.model.source import Source, SourceError

from robotrain_sources import parallel
from robotrain_sources.local_path import folder_content
from robotrain_sources.local_path.folder_content import FolderDigest, parse_pin


class FileDigests(NamedTuple):
    """What came of reading a file. whole: the digest of all bytes. ends: that of the first and last `end` bytes."""

    whole: str
    end_size: int
    ends: str


def make_file_key(stat: os.stat_result) -> str:
    """What is another as soon as somebody wrote to the file, or put another in its place."""
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"


def load_file_digests(folder: Path) -> dict[str, FileDigests]:
    """What is kept of a folder's files, by their keys; nothing where that cannot be read."""
    try:
        found = json.loads(_digest_cache_file(folder).read_bytes())
        return {name: FileDigests(str(whole), int(end), str(ends)) for name, (whole, end, ends) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def save_file_digests(folder: Path, digests: Mapping[str, FileDigests]) -> None:
    """Keep this of a folder's files; where that cannot be written, they are read again the next time."""
    from robotrain.store import files

    with contextlib.suppress(OSError):
        place = _digest_cache_file(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(place, json.dumps(digests).encode())


def _digest_cache_file(folder: Path) -> Path:
    from robotrain.store import files

    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:32]
    return files.get_cache_folder() / "digests" / f"{name}.json"


FIRST_LINE_SECONDS, LINE_SECONDS = 3.0, 10.0
"""Seconds until it is told at all, and between two lines then."""


class ReadProgress:
    """total: bytes of the folder. Hears of bytes from several threads; tells where it is asked to."""

    def __init__(self, folder: Path, total: int) -> None:
        self._folder, self._total, self._done = folder, total, 0
        self._next, self._printed = time.monotonic() + FIRST_LINE_SECONDS, False
        self._lock = threading.Lock()

    def add_bytes(self, count: int) -> None:
        """So many bytes more."""
        with self._lock:
            self._done += count

    def print_if_due(self) -> None:
        """A line, when it is time for one."""
        from robotrain.model.amounts import format_size

        if time.monotonic() < self._next:
            return
        if not self._printed:
            _print_line(f"reading all of {self._folder}: the next time only what was written to since")
        self._next, self._printed = time.monotonic() + LINE_SECONDS, True
        share = min(100, self._done * 100 // max(1, self._total))
        _print_line(f"  {share} %: {format_size(self._done)} of {format_size(self._total)}")


def _print_line(line: str) -> None:
    """To whoever waits."""
    print(line, file=sys.stderr, flush=True)


PARALLEL_FILES = 8
READ_SIZE = 1 << 20
MIN_CACHED_BYTES = 64 << 20
"""Bytes of a folder from which on what was read is kept."""
SETTLED_SECONDS = 2.0
"""Seconds after a file was written, from which on another write is sure to give it another time."""

_folder_lock = threading.Lock()
"""Several are asked for at once, and lie on one disk: each is read with all there is."""


def digest_files(folder: Path, files: Sequence[os.DirEntry[str]], end_size: int) -> dict[str, FileDigests]:
    """What each file holds, by its path. end: how many bytes of its ends a look reads. Raises OSError."""
    with _folder_lock:
        return _FolderReader(folder, files, end_size).read_files()


class _FolderReader:
    """One folder that is read."""

    def __init__(self, folder: Path, files: Sequence[os.DirEntry[str]], end: int) -> None:
        self._folder, self._files, self._end = folder, files, end
        total = sum(_stat_entry(entry).st_size for entry in files)
        self._large = total >= MIN_CACHED_BYTES
        self._progress = ReadProgress(folder, total)
        self._cached = load_file_digests(folder) if self._large else {}
        self._found: dict[str, FileDigests] = {}
        self._to_cache: dict[str, FileDigests] = {}

    def read_files(self) -> dict[str, FileDigests]:
        """All of it; when that fails, or somebody presses Ctrl-C, what was read is kept for the next time."""
        try:
            parallel.run_parallel(
                self._read_file, self._files, min(PARALLEL_FILES, len(self._files)), self._progress.print_if_due
            )
        except BaseException:
            self._save_cache({**self._cached, **self._to_cache.copy()})
            raise
        self._save_cache(self._to_cache)
        return self._found

    def _save_cache(self, found: dict[str, FileDigests]) -> None:
        if self._large and found != self._cached:
            save_file_digests(self._folder, found)

    def _read_file(self, entry: os.DirEntry[str], stopped: threading.Event) -> None:
        key = make_file_key(_stat_entry(entry))
        if before := self._cached.get(key):
            whole = before.whole
            self._progress.add_bytes(_stat_entry(entry).st_size)
        else:
            whole, key = self._digest_file(entry.path, stopped)
        same = before is not None and before.end_size == self._end
        found = (
            before
            if before and same
            else FileDigests(whole, self._end, folder_content.digest_file_ends(entry.path, self._end))
        )
        self._found[entry.path] = found
        if key:
            self._to_cache[key] = found

    def _digest_file(self, path: str, stopped: threading.Event) -> tuple[str, str]:
        """The digest of a file, and its key; none where somebody may write to it and leave that as it is."""
        told, began = hashlib.sha256(), time.time()
        with open(path, "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            piece = bytearray(min(READ_SIZE, before.st_size + 1))
            while not stopped.is_set() and (count := file.readinto(piece)):
                told.update(memoryview(piece)[:count])
                self._progress.add_bytes(count)
            after = os.fstat(file.fileno())
        steady = make_file_key(before) == make_file_key(after) and before.st_ctime < began - SETTLED_SECONDS
        return told.hexdigest(), make_file_key(before) if steady and not stopped.is_set() else ""


def _stat_entry(entry: os.DirEntry[str]) -> os.stat_result:
    return entry.stat(follow_symlinks=False)


def compute_folder_digest(folder: Path) -> FolderDigest:
    """The digest of what lies below `folder` now. Raises OSError that names the file which cannot be read."""
    found = list(folder_content.list_digested_entries(folder))
    files = [entry for _, entry in found if entry.is_file(follow_symlinks=False)]
    held = digest_files(folder, files, folder_content.compute_end_size(len(found)))
    whole = [folder_content.make_folder_entry(*one, lambda entry: held[entry.path].whole) for one in found]
    ends = [folder_content.make_folder_entry(*one, lambda entry: held[entry.path].ends) for one in found]
    return FolderDigest(
        folder_content.digest_entries(whole),
        folder_content.digest_entries_quickly(ends),
        len(found),
        sum(part.size for part in whole),
    )


def check_pin(folder: Path, pin: str) -> str:
    """Why the folder is not what was pinned, as a sentence; empty when it is.

    Empty also for the pin of a robotrain that looked at folders in another way. Raises OSError.
    """
    then = parse_pin(pin)
    return (
        folder_content.format_change(folder, folder_content.describe_difference(then, compute_folder_digest(folder)))
        if then
        else ""
    )


def compute_pin(source: Source, role: str) -> str:
    """The digest of the folder, of a policy that of the model alone; empty where none lies on this machine.

    Raises SourceError.
    """
    part = _find_pinned_part(source, role)
    with _convert_os_errors():
        return compute_folder_digest(part).pin if part else ""


def find_change(source: Source, role: str, pin: str) -> str:
    """Why what was pinned cannot be had any more, as a sentence; empty while it can. Raises SourceError."""
    part = _find_pinned_part(source, role)
    if part is None:
        return f"There is no {'policy' if role in folder_content.POLICY_ROLES else 'folder'} at {source} any more."
    with _convert_os_errors():
        return check_pin(part, pin)


def find_missing_paths(source: Source, role: str, paths: Sequence[str]) -> list[str]:
    """Those of some paths that are not in the folder; none where the folder is not on this machine."""
    folder = Path(str(source))
    return [path for path in paths if not (folder / path).exists()] if folder.is_dir() else []


def _find_pinned_part(source: Source, role: str) -> Path | None:
    folder = Path(str(source))
    return folder_content.find_used_part(folder, role) if folder.is_dir() else None


@contextmanager
def _convert_os_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}.") from None
