"""The fetch of sources: what each holds, and the download of what is missing over one pool of threads.

A large file comes in ranges. Whoever fetches the last range of a file verifies the whole file and gives it its name.
"""

import functools
import importlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.deadline import DeadlineFuture
from robotrain_runtime.contract.files import format_duration, format_size

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import (
    ContentMismatch,
    FetchError,
    describe_file_change,
    is_transient,
    is_unauthenticated,
)
from robotrain_sources.transfer import cache
from robotrain_sources.transfer.cache import FILES, INCOMING, CacheFolder, FileVerifier
from robotrain_sources.transfer.origin import (
    CLIENT_OPTIONS,
    STOPPED,
    DataOrigin,
    Patience,
    SourceFile,
    compute_data_digest,
    find_name_problem,
)

BLOCK_SIZE = 4096
"""Files take whole blocks on a disk."""
LARGEST_DESCRIBED = 16 << 20
RANGE_SIZE, PIECE_SIZE = 8 << 20, 1 << 18
THREADS, THREAD_MIB = 16, 2
"""Requests at a time, and about how much memory each needs."""
MAX_MISMATCHES = 4
"""Tries of a file whose content differs from its listing."""
REPORT_SECONDS, LINE_SECONDS, END_SECONDS = 0.5, 5.0, 2.0


@dataclass(kw_only=True)
class SourceData:
    """What a source holds, and its folder in the cache."""

    name: str
    """What the cache calls it: its address, and which part of it."""
    pin: str
    origin: DataOrigin
    folder: CacheFolder
    files: Sequence[SourceFile] = ()
    """By name; empty if its pinned data was found in the cache."""
    needed: Sequence[str] = ()
    count: int = 0
    size: int = 0
    missing: int = 0
    """Bytes that the disk must have room for."""
    digests: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the files that have arrived."""


def look_up(uri: str, pin: str, origin: DataOrigin, needed: Sequence[str], cache_root: Path) -> SourceData:
    """Return what a source holds, without network if its pinned data is cached. Raise FetchError, OSError.

    :param needed: patterns of the files that are fetched; empty for all.
    """
    needed = needed if origin.can_leave_out else ()
    name = f"{uri} ({', '.join(needed)})" if needed else uri
    parent = cache_root / "data" / origin.place
    if folder := cache.find_pinned_folder(parent, (name, uri), pin):  # all of it has every part
        head = folder.read_head()
        data = SourceData(name=name, pin=pin, origin=origin, folder=folder, needed=needed)
        data.count, data.size = head["files"], head["size"]
        return data
    files = list_source(origin, needed)
    digest = compute_data_digest(files)
    if mismatch := origin.find_pin_mismatch(digest):
        raise mismatch
    folder = CacheFolder(cache_root / "data" / origin.place / digest)  # the listing may have changed the place
    data = SourceData(name=name, pin=pin, origin=origin, folder=folder, files=files, needed=needed)
    data.count, data.size = len(files), sum(file.size for file in files)
    if not folder.find_files():
        blocks = sum(-(-file.size // BLOCK_SIZE) for file in files)
        data.missing = max(0, blocks * BLOCK_SIZE - folder.count_arrived_bytes())
    return data


def list_source(origin: DataOrigin, needed_patterns: Sequence[str] = ()) -> Sequence[SourceFile]:
    """Return the files of a source, by name. Raise FetchError, also if they cannot all be written below one folder.

    :param needed_patterns: patterns of the files that are returned; empty for all.
    """
    try:
        files = sorted(origin.list_files(), key=lambda file: file.name)
    except FetchError:
        raise
    except Exception as error:
        raise origin.explain_error(error) from error
    if needed_patterns:
        files = [file for file in files if any(fnmatchcase(file.name, pattern) for pattern in needed_patterns)]
    if not files and needed_patterns:
        raise FetchError(f"it has none of the files that the work needs: {', '.join(needed_patterns)}", "data")
    if not files:
        raise origin.explain_empty()
    file_names = {file.name for file in files}
    for file in files:
        if problem := find_name_problem(file.name):
            raise FetchError(problem, "data")
        if file.size < 0 or not file.identity:
            reason = "the listing has no size, or neither a digest nor a version"
            raise FetchError(f"{reason}, of {file.name!r}", "data")
        parts = file.name.split("/")
        for folder in ("/".join(parts[:depth]) for depth in range(1, len(parts))):
            if folder in file_names:
                reason = f"{folder!r} is both a file and the folder of {file.name!r}, so both cannot be written"
                raise FetchError(reason, "data")
    if len(file_names) < len(files):
        raise FetchError("one name is listed twice, so its files cannot both be written", "data")
    return files


def read_described(data: SourceData, described: Sequence[str], target: Path, patience: Patience) -> None:
    """Write the describing files of a source to `target`, else read one byte: who may list may not always read."""
    cached = None if data.missing else data.folder.find_files()
    if cached:
        for name in described:
            if (cached / name).is_file():
                _write_file(target / name, (cached / name).read_bytes())
        return
    describing = [file for file in data.files if file.name in described and file.size <= LARGEST_DESCRIBED]
    try:
        reader = RemoteReader(data.origin, patience.stall)
        for file in describing:
            _write_file(target / file.name, b"".join(map(bytes, reader.read(file, 0, file.size))))
        if not describing and (with_content := [file for file in data.files if file.size]):
            next(reader.read(min(with_content, key=lambda file: file.size), 0, 1), None)
    except Exception as error:
        raise data.origin.explain_error(error) from error


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


class RemoteReader:
    """Reads the files of one origin. A request that brings no data for `stall_seconds` raises TimeoutError."""

    def __init__(self, origin: DataOrigin, stall_seconds: float) -> None:
        self._get: Any = importlib.import_module("obstore").get
        self._origin, self._stall_seconds = origin, stall_seconds
        try:
            self._store = origin.open_store({**CLIENT_OPTIONS, "read_timeout": f"{stall_seconds * 1000:.0f}ms"})
        except Exception as error:
            raise origin.explain_error(error) from error

    def read(self, file: SourceFile, start: int, stop: int) -> Iterator[Any]:
        """Yield the bytes from `start` to `stop` of the file as it was listed; all of it if there are no ranges."""
        options: dict[str, Any] = {}
        if self._origin.has_ranges:
            options = {"range": (start, stop), **({"if_match": file.version} if file.version else {})}
        try:
            if stop > start:
                answer = self._get(self._store, self._origin.get_store_path(file.name), options=options)
                yield from answer.stream(min_chunk_size=PIECE_SIZE)
        except Exception as error:
            if "kind: Timeout" in str(error):  # obstore has no class for it
                raise TimeoutError(f"no data for {self._stall_seconds:g} s") from None
            raise


class FileDownload:
    """One file on its way."""

    def __init__(self, data: SourceData, reader: RemoteReader, file: SourceFile, number: int) -> None:
        self.data, self.reader, self.file = data, reader, file
        self.path = data.folder.part / INCOMING / str(number)
        self.target = data.folder.part / FILES / file.name
        length = RANGE_SIZE if data.origin.has_ranges else max(file.size, 1)
        self.ranges = [(at, min(at + length, file.size)) for at in range(0, file.size, length)] or [(0, 0)]
        self.verifier = FileVerifier(file)
        self._arrived: set[tuple[int, int]] = set()
        self._verified = 0
        """Ranges that the verifier has; they go to it in order, while others arrive."""
        self._is_verifying = False
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return f"{self.file.name} of {self.data.name}"

    def add_range(self, part: tuple[int, int]) -> bool:
        """Give the verifier what has arrived without a gap, unless another thread does. Return whether it has all."""
        with self._lock:
            self._arrived.add(part)
            if self._is_verifying:
                return False
            self._is_verifying = True
        while True:
            with self._lock:
                if self._verified == len(self.ranges):
                    return True
                start, stop = self.ranges[self._verified]
                if (start, stop) not in self._arrived:
                    self._is_verifying = False
                    return False
            self.verifier.update_from_file(self.path, start, stop)
            self._verified += 1


class DataDownload:
    """The download of all files of several folders, whose locks are held."""

    def __init__(
        self,
        sources: Sequence[SourceData],
        patience: Patience,
        mib: int,
        on_progress: Callable[[int, int, float], None],
        log_line: Callable[[str], object],
        stopped: threading.Event,
    ) -> None:
        self._sources, self._patience, self._stopped = sources, patience, stopped
        self._on_progress, self._log_line = on_progress, log_line
        self._threads = max(1, min(THREADS, mib // THREAD_MIB))
        self._total = sum(data.size for data in sources)
        self._done = self._resumed = 0
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._tasks = self._iter_ranges()
        self._last_line = self._began = time.monotonic()
        self._last_repetition = self._began - LINE_SECONDS

    def run(self) -> None:
        """Fetch and verify all files. Raise FetchError, the system's OSError."""
        count = sum(data.count for data in self._sources)
        self._log_line(f"fetching {count:,} files of {len(self._sources)} sources: {format_size(self._total)}")
        workers = [DeadlineFuture(self._work) for _ in range(self._threads)]
        for worker in workers:
            while not self._is_over() and worker.is_running(REPORT_SECONDS):
                self._report()
        end = time.monotonic() + END_SECONDS
        while self._is_over() and time.monotonic() < end and any(worker.is_running() for worker in workers):
            time.sleep(0.01)
        if self._failure:
            raise self._failure
        self._raise_if_over()
        self._on_progress(self._total, self._total, self._rate())
        if self._resumed:
            self._log_line(f"{format_size(self._resumed)} were there from an earlier try")
        fetched, seconds = format_size(self._done - self._resumed), time.monotonic() - self._began
        self._log_line(f"fetched {fetched} in {seconds:.1f} s: {count:,} files, each one verified")

    def _iter_ranges(self) -> Iterator[tuple[FileDownload, tuple[int, int] | None]]:
        """Yield what to fetch, the largest files first."""
        readers = {id(data): RemoteReader(data.origin, self._patience.stall) for data in self._sources}
        pairs = [(data, file) for data in self._sources for file in data.files]
        for number, (data, file) in enumerate(sorted(pairs, key=lambda pair: -pair[1].size)):
            download = FileDownload(data, readers[id(data)], file, number)
            is_there = download.target.exists()
            yield from ((download, ranges) for ranges in ([None] if is_there else download.ranges))

    def _work(self) -> None:
        try:
            while not self._is_over():
                with self._lock:
                    download, part = next(self._tasks, (None, None))
                if download is None:
                    return
                if part is None:
                    self._take_earlier_file(download)
                    continue
                self._fetch_range(download, *part)
                if download.add_range(part):
                    self._finish_file(download)
        except BaseException as error:
            self._failure = self._failure or error

    def _take_earlier_file(self, download: FileDownload) -> None:
        """Keep a file that an earlier try left, if it is as it was listed and recorded; else fetch it."""
        file, folder = download.file, download.data.folder
        try:
            sha256 = cache.verify_file(download.target, file)
            if sha256 != folder.recorded.get(file.name, {}).get("sha256"):
                raise ContentMismatch("it is not what was recorded")
        except (OSError, ContentMismatch):
            with suppress(FileNotFoundError):
                download.target.unlink()  # before it is fetched: the disk may be full
            with self._lock:
                self._tasks = itertools.chain(((download, part) for part in download.ranges), self._tasks)
            return
        download.data.digests[file.name] = sha256
        self._add(file.size)
        with self._lock:
            self._resumed += file.size

    def _finish_file(self, download: FileDownload) -> None:
        verify: Callable[[], str] = download.verifier.finish
        for tries_left in reversed(range(MAX_MISMATCHES)):
            try:
                sha256 = verify()
                break
            except ContentMismatch as error:
                if not tries_left:
                    reason = f"{download} differs from its listing after {MAX_MISMATCHES} tries ({error})"
                    raise FetchError(f"{reason}: upload it again", "data") from None
                self._log_repetition(download, error)
            self._add(-download.file.size)
            for start, stop in download.ranges:
                self._fetch_range(download, start, stop)
            verify = functools.partial(cache.verify_file, download.path, download.file)
        if len(download.ranges) > 1:
            with download.path.open("rb") as file:
                os.fsync(file.fileno())  # its length would not tell what a power cut took
        download.target.parent.mkdir(parents=True, exist_ok=True)
        download.data.folder.record(download.file, sha256)
        os.replace(download.path, download.target)
        download.data.digests[download.file.name] = sha256

    def _fetch_range(self, download: FileDownload, start: int, stop: int) -> None:
        """Write a range of a file, with repetitions. Raise FetchError, the system's OSError."""
        explain = download.data.origin.explain_error
        rejections = 0

        def is_worth_repeating(error: Exception) -> bool:
            nonlocal rejections
            if self._is_over() or _is_of_machine(error) or not is_transient(error):
                return False
            cause = error if isinstance(error, ContentMismatch) else explain(error)
            rejections += is_unauthenticated(error)
            may_be_renewed = is_unauthenticated(error) and rejections == 1  # a token may just have expired
            if getattr(cause, "fault", "") == "configuration" and not may_be_renewed:
                return False  # waiting mends no expired secret
            self._log_repetition(download, cause)
            return True

        attempts = importlib.import_module("stamina").retry_context(
            on=is_worth_repeating,
            attempts=self._patience.attempts,
            timeout=None,
            wait_initial=self._patience.first,
            wait_jitter=self._patience.first,
            wait_max=self._patience.longest,
        )
        try:
            for attempt in attempts:
                with attempt:
                    self._write_range(download, start, stop)
        except Exception as error:
            if isinstance(error, FetchError) or _is_of_machine(error):
                raise
            if change := describe_file_change(error):
                raise FetchError(
                    f"{download} was {change} while it was fetched: start the run again", "data"
                ) from error
            if isinstance(error, ContentMismatch):
                raise FetchError(f"{download}: {error}", "network") from error
            cause = explain(error)
            if is_transient(error) and cause.fault != "configuration":
                raise FetchError(f"no data in {self._patience.attempts} tries: {cause}", cause.fault) from error
            raise cause from error

    def _write_range(self, download: FileDownload, start: int, stop: int) -> None:
        position = start
        handle = os.open(download.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            for piece in download.reader.read(download.file, start, stop):
                self._raise_if_over()
                if position + len(piece) > stop:
                    raise ContentMismatch(f"more than {stop - start} bytes arrived for a range of it")
                _write_at(handle, memoryview(piece), position)
                position += len(piece)
                self._add(len(piece))
            if position != stop:
                raise ContentMismatch(f"a range of it ended at byte {position} instead of {stop}")
        except BaseException:
            self._add(start - position)
            raise
        finally:
            os.close(handle)

    def _log_repetition(self, download: FileDownload, error: Exception) -> None:
        """Say that a file is requested again; of many, a line now and then."""
        with self._lock:
            if time.monotonic() - self._last_repetition < LINE_SECONDS:
                return
            self._last_repetition = time.monotonic()
        self._log_line(f"requesting {download} again: {error}")

    def _add(self, count: int) -> None:
        with self._lock:
            self._done += count

    def _is_over(self) -> bool:
        return self._failure is not None or self._stopped.is_set()

    def _raise_if_over(self) -> None:
        if self._is_over():
            raise FetchError(STOPPED)

    def _rate(self) -> float:
        return max(0.0, (self._done - self._resumed) / (time.monotonic() - self._began))

    def _report(self) -> None:
        rate = self._rate()
        self._on_progress(self._done, self._total, rate)
        if time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            left = f"{format_duration((self._total - self._done) / rate)} left" if rate else "no data yet"
            progress = f"{format_size(self._done)} of {format_size(self._total)}, {format_size(rate)}/s"
            self._log_line(f"fetching: {progress}, {left}")


def _write_at(handle: int, content: memoryview, offset: int) -> None:
    while content:
        count = os.pwrite(handle, content, offset)
        content, offset = content[count:], offset + count


def _is_of_machine(error: BaseException) -> bool:
    return errors.is_out_of_memory(error) or (isinstance(error, OSError) and bool(error.errno))
