"""Pins of local folders: a digest of every byte, computed in parallel and cached by file.

A copy has the same digest on every machine. Small folders are not cached: reading them is as fast.
"""

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from robotrain.model import code_commit_tags
from robotrain.model.source import Source, SourceError
from robotrain.store import code_commit, code_folder, files

from robotrain_sources import parallel
from robotrain_sources.local_path import folder_content
from robotrain_sources.local_path.byte_progress import ByteProgress
from robotrain_sources.local_path.folder_content import FolderDigest, parse_pin


class FileDigests(NamedTuple):
    """The digests of a file: of all bytes, and of its first and last `end_size` bytes."""

    whole: str
    end_size: int
    ends: str


def make_file_key(stat: os.stat_result) -> str:
    """Return a key that changes when the file is written to or replaced."""
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"


def load_file_digests(folder: Path) -> dict[str, FileDigests]:
    """Return the cached digests of a folder's files by their keys; empty if the cache cannot be read."""
    try:
        cached_digests = json.loads(_digest_cache_file(folder).read_bytes())
        return {
            key: FileDigests(str(whole_digest), int(end), str(ends))
            for key, (whole_digest, end, ends) in cached_digests.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def save_file_digests(folder: Path, digests: Mapping[str, FileDigests]) -> None:
    """Cache the digests of a folder's files, if the cache can be written."""
    with contextlib.suppress(OSError):
        path = _digest_cache_file(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, json.dumps(digests).encode())


def _digest_cache_file(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:32]
    return files.get_cache_folder() / "digests" / f"{name}.json"


PARALLEL_FILES = 8
READ_SIZE = 1 << 20
MIN_CACHED_BYTES = 64 << 20
"""Size of a folder from which on digests are cached."""
SETTLED_SECONDS = 2.0
"""Seconds after a write before the digest is cached: a later write surely changes the file's time."""

_folder_lock = threading.Lock()
"""Folders are read one after the other, each with all threads: they usually share a disk."""


class _FolderReader:
    """Reads the files of one folder; `end` bytes of the ends of a file count as quick."""

    def __init__(self, folder: Path, files: Sequence[os.DirEntry[str]], end: int) -> None:
        self._folder, self._files, self._end = folder, files, end
        total = sum(_stat_entry(folder_entry).st_size for folder_entry in files)
        self._large = total >= MIN_CACHED_BYTES
        self._progress = ByteProgress(total, f"reading all of {folder}: next time only files that changed")
        self._cached = load_file_digests(folder) if self._large else {}
        self._digests: dict[str, FileDigests] = {}
        self._to_cache: dict[str, FileDigests] = {}

    def read_files(self) -> dict[str, FileDigests]:
        """Return the digests of all files; after a failure or Ctrl-C, those computed so far are cached."""
        try:
            parallel.run_parallel(self._read_file, self._files, min(PARALLEL_FILES, len(self._files)))
        except BaseException:
            self._save_cache({**self._cached, **self._to_cache.copy()})
            raise
        self._save_cache(self._to_cache)
        return self._digests

    def _save_cache(self, digests: dict[str, FileDigests]) -> None:
        if self._large and digests != self._cached:
            save_file_digests(self._folder, digests)

    def _read_file(self, entry: os.DirEntry[str], stopped: threading.Event) -> None:
        key = make_file_key(_stat_entry(entry))
        digests = self._cached.get(key)
        if digests:
            whole_digest = digests.whole
            self._progress.add_bytes(_stat_entry(entry).st_size)
        else:
            whole_digest, key = self._digest_file(entry.path, stopped)
        if digests is None or digests.end_size != self._end:
            digests = FileDigests(whole_digest, self._end, folder_content.digest_file_ends(entry.path, self._end))
        self._digests[entry.path] = digests
        if key:
            self._to_cache[key] = digests

    def _digest_file(self, path: str, stopped: threading.Event) -> tuple[str, str]:
        """Return digest and key of a file; no key if a later write might leave the key unchanged."""
        hasher = hashlib.sha256()
        start = time.time()
        with open(path, "rb", buffering=0) as file:
            stat_before = os.fstat(file.fileno())
            piece = bytearray(min(READ_SIZE, stat_before.st_size + 1))
            while not stopped.is_set() and (count := file.readinto(piece)):
                hasher.update(memoryview(piece)[:count])
                self._progress.add_bytes(count)
            stat_after = os.fstat(file.fileno())
        is_settled = (
            make_file_key(stat_before) == make_file_key(stat_after) and stat_before.st_ctime < start - SETTLED_SECONDS
        )
        return hasher.hexdigest(), make_file_key(stat_before) if is_settled and not stopped.is_set() else ""


def _stat_entry(folder_entry: os.DirEntry[str]) -> os.stat_result:
    return folder_entry.stat(follow_symlinks=False)


def compute_folder_digest(folder: Path) -> FolderDigest:
    """Return the digest of a folder. Raise OSError with the file that cannot be read."""
    paths = list(folder_content.list_digested_entries(folder))
    files = [folder_entry for _, folder_entry in paths if folder_entry.is_file(follow_symlinks=False)]
    with _folder_lock:
        digests = _FolderReader(folder, files, folder_content.compute_end_size(len(paths))).read_files()
    whole_entries = [folder_content.make_folder_entry(*path, lambda entry: digests[entry.path].whole) for path in paths]
    end_entries = [folder_content.make_folder_entry(*path, lambda entry: digests[entry.path].ends) for path in paths]
    return FolderDigest(
        folder_content.digest_entries(whole_entries),
        folder_content.digest_entries_quickly(end_entries),
        len(paths),
        sum(folder_entry.size for folder_entry in whole_entries),
    )


def check_pin(folder: Path, pin: str) -> str:
    """Return why the folder is not what was pinned; empty if it is, or for another form of pin. Raise OSError."""
    if not (pinned_digest := parse_pin(pin)):
        return ""
    return f"{folder} changed since it was pinned." if compute_folder_digest(folder) != pinned_digest else ""


def resolve_pin(source: Source, role: str) -> str:
    """Return the pin of the folder, of a policy that of the model; empty if it is not on this machine.

    Raise SourceError.
    """
    part = _find_pinned_part(source, role)
    if part is None:
        return ""
    with _convert_os_errors():
        if role == "code":
            return code_folder.load_or_compute_pin(part, lambda: compute_folder_digest(part).pin)
        return compute_folder_digest(part).pin


def explain_lost_pin(source: Source, role: str, pin: str) -> str:
    """Return why the folder is not what was pinned; empty if it is. Raise SourceError."""
    part = _find_pinned_part(source, role, pin)
    if part is None:
        return f"There is no {'policy' if role in folder_content.POLICY_ROLES else 'folder'} at {source} any more."
    with _convert_os_errors():
        if role != "code":
            return check_pin(part, pin)
        return f"{source} changed, and no copy of it as it was is kept." if check_pin(part, pin) else ""


def read_tags(source: Source, role: str, pin: str) -> Sequence[str]:
    """Return the commit that a folder of code is at, and whether what is sent differs from it; nothing of others.

    The difference is written beside the staged copy. Raise OSError.
    """
    folder = Path(str(source))
    if role != "code" or not folder.is_dir():
        return []

    staged_folder = code_folder.stage_folder(folder, pin)
    description = code_commit.describe_commit(
        folder, code_folder.scan_folder(staged_folder, is_staged=True), staged_folder
    )
    if description is None:
        return []
    code_commit.save_difference(staged_folder, description)
    return code_commit_tags.make_tags(description.commit, description.is_dirty)


def find_missing_paths(source: Source, role: str, paths: Sequence[str]) -> list[str]:
    """Return the paths that are not in the folder; none if the folder is not on this machine."""
    folder = Path(str(source))
    return [path for path in paths if not (folder / path).exists()] if folder.is_dir() else []


def _find_pinned_part(source: Source, role: str, pin: str = "") -> Path | None:
    folder = Path(str(source))
    if role == "code" and folder.is_dir():
        return code_folder.stage_folder(folder, pin)
    if folder_content.is_used_file(folder, role):
        return folder
    return folder_content.find_used_part(folder, role) if folder.is_dir() else None


@contextmanager
def _convert_os_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}.") from None
