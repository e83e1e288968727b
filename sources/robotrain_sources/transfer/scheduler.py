"""The download after the survey: one pool of threads for all sources, large files in ranges, every file verified."""

import itertools
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from robotrain_runtime.contract.files import format_size

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import ContentMismatch, FetchError
from robotrain_sources.transfer import cache_store
from robotrain_sources.transfer.cache_store import FileVerifier, FolderLock, PartialDownload
from robotrain_sources.transfer.origin import SourceFile, TransferRequest, compute_data_digest
from robotrain_sources.transfer.requests import ProgressMeter, RemoteReader, RetryRule
from robotrain_sources.transfer.survey import SourceSurvey, list_source

MIB = 1 << 20
MAX_SMALL_BYTES = MIB
RANGE_SIZE, MAX_RANGES = 8 * MIB, 1024
MAX_REQUESTS, REQUEST_MIB = 32, 2
"""Requests at a time, and how much memory each may hold."""
REPORT_SECONDS = 0.5
FAILURE_SECONDS = 2.0
"""How long the other requests may take to end after one failed."""

T = TypeVar("T")


class DownloadPool:
    """Threads that fetch the missing files of all downloads, the largest first, within `mib` MiB of memory."""

    def __init__(self, downloads: Sequence[PartialDownload], meter: ProgressMeter, request: TransferRequest) -> None:
        self.reader = RemoteReader((download.origin for download in downloads), request.patience.stall)
        self.meter = meter
        self._request = request
        mib = request.download_mib
        self._thread_count = max(2, min(MAX_REQUESTS, mib // REQUEST_MIB))  # one may wait for the ranges of a file
        self._tasks = self._iter_tasks(downloads)
        self._lock = threading.Lock()
        self.large_files: set[LargeFile] = set()
        """Those that are being fetched."""
        self._stopped = threading.Event()
        self._running = 0
        self._ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Fetch and verify all files. Raise FetchError, the system's OSError."""
        running = self._running = self._thread_count
        for _ in range(running):
            threading.Thread(target=self._work, daemon=True).start()
        while running:
            if self._request.stopped.is_set():
                self._end_threads(running)
                self._request.raise_if_stopped()
            try:
                failure = self._ended.get(timeout=REPORT_SECONDS)
            except queue.Empty:
                self.meter.report()
                continue
            running -= 1
            if failure:
                self._end_threads(running)
                raise failure

    def retry(self, download: PartialDownload, entry: SourceFile, request: Callable[[], T]) -> T:
        """Return the result of the first `request` that succeeds. Raise FetchError, and the system's OSError."""
        rule = RetryRule(download=download, entry=entry, meter=self.meter, timeouts=self._request.patience)

        def request_unless_stopped() -> T:
            self.raise_if_stopped()
            return request()

        return rule.retry(request_unless_stopped)

    def raise_if_stopped(self) -> None:
        """Raise FetchError if another request has failed, or nobody waits for the data any more."""
        self._request.raise_if_stopped()
        if self._stopped.is_set():
            raise FetchError("another request failed")

    def _end_threads(self, count: int) -> None:
        self._stopped.set()
        for file in list(self.large_files):
            file.cancel()
        deadline = time.monotonic() + FAILURE_SECONDS
        with suppress(queue.Empty):
            for _ in range(count):
                self._ended.get(timeout=max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        failure = None
        try:
            while not (self._stopped.is_set() or self._request.stopped.is_set()):
                with self._lock:
                    task = next(self._tasks, None)
                if task is None:
                    break
                task()
        except BaseException as error:
            failure = error
        with self._lock:
            self._running -= 1
            if not self._running:  # another thread might still write to a file after a failure
                for file in list(self.large_files):
                    file.close()
        self._ended.put(failure)

    def _iter_tasks(self, downloads: Sequence[PartialDownload]) -> Iterator[Callable[[], None]]:
        missing_pairs = [zip(itertools.repeat(download), download.missing) for download in downloads]
        for download, source_file in sorted(itertools.chain(*missing_pairs), key=lambda item: -item[1].size):
            if source_file.size > MAX_SMALL_BYTES:
                file = LargeFile(self, download, source_file)
                self.large_files.add(file)
                yield from file.list_tasks()
            else:
                yield partial(self._fetch_small_file, download, source_file)

    def _fetch_small_file(self, download: PartialDownload, source_file: SourceFile) -> None:
        def fetch_and_write() -> str:
            file_bytes = self.reader.read_file(download.origin, source_file) if source_file.size else b""
            self.raise_if_stopped()
            verifier = FileVerifier(source_file)
            verifier.update(file_bytes)
            sha256 = verifier.finish()
            handle = cache_store.open_for_writing(download.files / source_file.name)
            try:
                cache_store.write_at(handle, file_bytes, 0)
            finally:
                os.close(handle)
            return sha256

        download.record(source_file, self.retry(download, source_file, fetch_and_write))
        self.meter.add_bytes(source_file.size)


class LargeFile:
    """The download of one large file: a thread verifies it while others fetch its ranges."""

    def __init__(self, pool: DownloadPool, download: PartialDownload, entry: SourceFile) -> None:
        self._pool = pool
        self._download = download
        self._entry = entry
        self._file = os.fdopen(cache_store.open_for_writing(download.files / entry.name), "rb+", buffering=0)
        range_size = max(RANGE_SIZE, -(-entry.size // MAX_RANGES)) if download.origin.has_ranges else entry.size
        ranges = ((start, min(start + range_size, entry.size)) for start in range(0, entry.size, range_size))
        self._arrivals: dict[tuple[int, int], Future[None]] = {part: Future() for part in ranges}
        self._is_repeated = False

    def cancel(self) -> None:
        """End the wait for ranges that nobody fetches any more."""
        for arrival in self._arrivals.values():
            arrival.cancel()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def list_tasks(self) -> Iterator[Callable[[], None]]:
        """Yield the verification, which waits for the ranges in order, and then the ranges."""
        yield self._verify
        for part in self._arrivals:
            yield partial(self._fetch_range, part)

    def _fetch_range(self, part: tuple[int, int]) -> None:
        try:
            self._read_range(*part)
        except BaseException as error:
            self._arrivals[part].set_exception(error)
            raise
        self._arrivals[part].set_result(None)

    def _read_range(self, start: int, stop: int) -> None:
        position, pool, origin = start, self._pool, self._download.origin

        def read_rest() -> None:
            nonlocal position
            if not origin.has_ranges:  # the request begins at the start again
                pool.meter.add_bytes(start - position)
                position = start
            for piece in pool.reader.read_range(origin, self._entry, position, stop):
                pool.raise_if_stopped()
                if position + len(piece) > stop:
                    raise ContentMismatch(f"more than {stop - start} bytes arrived for a range of it")
                cache_store.write_at(self._file.fileno(), piece, position)
                position += len(piece)
                pool.meter.add_bytes(len(piece))
            if position != stop:
                raise ContentMismatch(f"a range of it ended at byte {position} instead of {stop}")

        pool.retry(self._download, self._entry, read_rest)

    def _verify(self) -> None:
        sha256 = self._pool.retry(self._download, self._entry, self._hash_ranges)
        os.fsync(self._file.fileno())  # its length would not tell what a power cut took
        self.close()
        self._pool.large_files.discard(self)
        self._download.record(self._entry, sha256)

    def _hash_ranges(self) -> str:
        """Return the SHA-256. Raise ContentMismatch; the next call fetches the whole file again."""
        verifier = FileVerifier(self._entry)
        for part, arrival in self._arrivals.items():
            if self._is_repeated:
                self._read_range(*part)
            arrival.result()
            verifier.update_from_file(self._file.fileno(), *part)
        try:
            return verifier.finish()
        except ContentMismatch:
            self._is_repeated = True
            self._pool.meter.discard_bytes(self._entry.size)
            raise


class Downloader:
    """Fetches the data of surveyed sources. It holds the locks of their folders until `close`."""

    def __init__(
        self, request: TransferRequest, surveys: Sequence[SourceSurvey], on_progress: Callable[[int, int, float], None]
    ) -> None:
        self._request = request
        self._surveys = {survey.folder: survey for survey in surveys if survey.folder}
        self._on_progress = on_progress
        self._locks: dict[Path, FolderLock] = {}

    def fetch_folders(self) -> dict[Path, Path]:
        """Return the complete files of every folder. Raise FetchError, OSError."""
        cached: dict[Path, Path] = {}
        downloads: list[PartialDownload] = []
        try:
            for folder in sorted(self._surveys):  # every process in the same order: no deadlocks
                on_wait = partial(self._request.log_line, f"another run is fetching {folder}: waiting")
                lock = self._locks[folder] = FolderLock(folder, on_wait, self._request.stopped)
                if files := lock.acquire():
                    lock.share()
                    cached[folder] = files
                else:
                    downloads.append(self._prepare_download(folder))
            if downloads:
                self._fetch_downloads(downloads)
            for download in downloads:
                cached[download.folder] = download.finish()
                self._locks[download.folder].share()
            return cached
        except BaseException as error:
            for download in downloads:
                download.close()
            if errors.is_disk_full(error):  # free the disk for other things
                for folder in self._locks.keys() - cached.keys():
                    shutil.rmtree(cache_store.get_partial_folder(folder), ignore_errors=True)
            raise

    def close(self) -> None:
        """Release the locks."""
        for lock in self._locks.values():
            lock.close()

    def _prepare_download(self, folder: Path) -> PartialDownload:
        survey = self._surveys[folder]
        assert survey.origin is not None
        if survey.files is None:  # the data was cached during the survey
            survey.files = list_source(survey.origin, survey.needed)
            digest = compute_data_digest(survey.files)
            if digest != survey.digest:
                change_error = FetchError(f"{survey.request.uri} changed after the survey", "data")
                raise survey.origin.find_pin_mismatch(digest) or change_error
        download_arguments = (survey.name, survey.request.pin, survey.origin, folder)
        return PartialDownload(*download_arguments, survey.files, self._request.log_line)

    def _fetch_downloads(self, downloads: Sequence[PartialDownload]) -> None:
        total_bytes = sum(source_file.size for download in downloads for source_file in download.entries)
        missing_bytes = sum(source_file.size for download in downloads for source_file in download.missing)
        file_count = sum(len(download.entries) for download in downloads)
        log_line = self._request.log_line
        log_line(f"fetching {file_count:,} files of {len(downloads)} sources: {format_size(missing_bytes)}")
        meter = ProgressMeter(total_bytes - missing_bytes, total_bytes, self._on_progress, log_line)
        DownloadPool(downloads, meter, self._request).run()
        meter.finish(file_count)
