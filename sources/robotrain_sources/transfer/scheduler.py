"""The download after the survey: one scheduler for all sources, large files in ranges, every file verified."""

import asyncio
import heapq
import itertools
import os
import shutil
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from robotrain_runtime.contract.files import format_size

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import ContentMismatch, FetchError
from robotrain_sources.transfer import cache_store
from robotrain_sources.transfer.cache_store import FolderLock, PartialDownload
from robotrain_sources.transfer.origin import SourceFile, TransferRequest, TransferTimeouts
from robotrain_sources.transfer.requests import (
    CHUNK_SIZE,
    ProgressMeter,
    RemoteReader,
    RequestLimiter,
    RetryPolicy,
    StallDetector,
)
from robotrain_sources.transfer.survey import SourceSurvey, write_listing

DISK_THREADS = 2
BATCH_SIZE = 8

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class DiskTask:
    """A function to run in a thread, and the future that waits for it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: asyncio.Future[Any]
    result: Any = None
    failure: Exception | None = None

    def run(self) -> None:
        """Run the function in the current thread."""
        try:
            self.result = self.function(*self.arguments)
        except Exception as error:
            self.failure = error

    def set_future(self) -> None:
        """Pass the result on, in the loop's thread."""
        if self.future.done():  # cancelled
            return
        if self.failure:
            self.future.set_exception(self.failure)
        else:
            self.future.set_result(self.result)


class DiskExecutor:
    """Runs functions that use the disk in a few threads, several in a batch."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._waiting: deque[DiskTask] = deque()
        self._busy = 0

    async def __call__(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what `function` returns, or raise what it raises."""
        task = DiskTask(function, arguments, asyncio.get_running_loop().create_future())
        self._waiting.append(task)
        self._start_batches()
        result: T = await task.future
        return result

    def _start_batches(self) -> None:
        while self._waiting and self._busy < DISK_THREADS:
            batch = [self._waiting.popleft() for _ in range(min(BATCH_SIZE, len(self._waiting)))]
            self._busy += 1
            self._pool.submit(self._run_batch, batch, asyncio.get_running_loop())

    def _run_batch(self, tasks: Sequence[DiskTask], loop: asyncio.AbstractEventLoop) -> None:
        for task in tasks:
            task.run()
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(self._finish_batch, tasks)

    def _finish_batch(self, tasks: Sequence[DiskTask]) -> None:
        self._busy -= 1
        self._start_batches()
        for task in tasks:
            task.set_future()


class TaskGroup:
    """Tasks that succeed together: the first failure cancels all of them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start one more task."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        if self._failure:
            task.cancel()

    async def finish(self) -> None:
        """Wait for all tasks, also those started meanwhile. Raise the first failure."""
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        except BaseException:
            self._cancel_all()
            raise
        if self._failure:
            raise self._failure

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) and not self._failure:
            self._failure = failure
            self._cancel_all()

    def _cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()


WRITE_SECONDS = 0.5


class ArrivalJournal:
    """Collects arrivals and writes them to the catalogs in batches."""

    def __init__(self, downloads: Sequence[PartialDownload]) -> None:
        self._files: dict[PartialDownload, list[tuple[str, str]]] = {download: [] for download in downloads}
        self._ranges: dict[PartialDownload, list[tuple[str, int, int]]] = {download: [] for download in downloads}

    def add_file(self, download: PartialDownload, entry: SourceFile, sha256: str) -> None:
        """Record a complete, verified file."""
        self._files[download].append((entry.name, sha256))

    def add_range(self, download: PartialDownload, entry: SourceFile, start: int, stop: int) -> None:
        """Record a written range of a file."""
        self._ranges[download].append((entry.name, start, stop))

    def discard_file(self, download: PartialDownload, entry: SourceFile) -> None:
        """Record that all of a file has to be fetched again."""
        self._files[download].append((entry.name, ""))
        self.write()

    def write(self) -> None:
        """Write everything collected. Raise sqlite3.Error."""
        for download, files in self._files.items():
            ranges = self._ranges[download]
            if files or ranges:
                download.catalog.record_arrival(files, ranges)
                files.clear()
                ranges.clear()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            self.write()


MIB = 1 << 20
RANGE_SIZE, MAX_RANGES = 8 * MIB, 1024
RANGE_MEMORY = 2 * CHUNK_SIZE
"""Bytes that a request for a range holds in memory: the chunk being written, and the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferContext:
    """What all files are fetched with."""

    reader: RemoteReader
    retry_policy: RetryPolicy
    tasks: TaskGroup
    limiter: RequestLimiter
    meter: ProgressMeter
    journal: ArrivalJournal
    executor: DiskExecutor


@dataclass(eq=False, slots=True)
class ByteRange:
    """A range of a file; `arrived` is done once it is written."""

    start: int
    stop: int
    arrived: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class LargeFile:
    """The download of one large file; `all_requested` is set once every range is requested."""

    def __init__(self, download: PartialDownload, entry: SourceFile, context: TransferContext) -> None:
        self._download = download
        self._entry = entry
        self._context = context
        self.all_requested = asyncio.Event()

    async def fetch(self) -> None:
        """Fetch and verify the file."""
        sha256 = await self._context.retry_policy.retry(self._download, self._entry, self._fetch_and_verify)
        self._context.journal.add_file(self._download, self._entry, sha256)

    async def _fetch_and_verify(self) -> str:
        handle = await self._context.executor(cache_store.open_for_writing, self._download.files / self._entry.name)
        os.ftruncate(handle, self._entry.size)
        ranges, missing = self._plan_ranges()
        self._context.tasks.start(self._request_ranges(handle, missing))
        verifier = cache_store.FileVerifier(self._entry)
        for byte_range in ranges:
            await byte_range.arrived
            await self._context.executor(verifier.update_from_file, handle, byte_range.start, byte_range.stop)
        os.close(handle)  # not after a failure: a thread may still write to this descriptor
        try:
            return verifier.finish()
        except ContentMismatch:
            self._context.journal.discard_file(self._download, self._entry)
            self._context.meter.add_bytes(-self._entry.size)
            raise

    def _plan_ranges(self) -> tuple[list[ByteRange], list[ByteRange]]:
        """Return all ranges of the file in order, and those that are missing."""
        ranges, missing, position = [], [], 0
        if not self._download.origin.has_ranges:
            whole = [ByteRange(0, self._entry.size)]
            return whole, whole
        for start, stop in self._download.catalog.list_ranges(self._entry.name):
            missing += (gap := list(_cut_ranges(position, start, self._entry.size)))
            arrived = ByteRange(start, stop)
            arrived.arrived.set_result(None)
            ranges += [*gap, arrived]
            position = stop
        missing += (rest := list(_cut_ranges(position, self._entry.size, self._entry.size)))
        return [*ranges, *rest], missing

    async def _request_ranges(self, handle: int, missing: Sequence[ByteRange]) -> None:
        for byte_range in missing:
            await self._context.limiter.acquire(RANGE_MEMORY)
            self._context.tasks.start(self._fetch_range(handle, byte_range))
        self.all_requested.set()

    async def _fetch_range(self, handle: int, byte_range: ByteRange) -> None:
        position, stop = byte_range.start, byte_range.stop

        async def fetch_rest() -> None:
            nonlocal position
            if not self._download.origin.has_ranges:  # the request begins at the start again
                self._context.meter.add_bytes(byte_range.start - position)
                position = byte_range.start
            async for pieces in self._context.reader.read_range(self._download.origin, self._entry, position, stop):
                count = sum(map(len, pieces))
                if position + count > stop:
                    raise ContentMismatch(f"more than {stop - byte_range.start} bytes arrived for a range of it")
                await self._context.executor(cache_store.write_pieces, handle, pieces, position)
                position += count
                self._context.meter.add_bytes(count)
            if position != stop:
                raise ContentMismatch(f"a range of it ended at byte {position} instead of {stop}")

        try:
            await self._context.retry_policy.retry(self._download, self._entry, fetch_rest)
        finally:
            self._context.limiter.release(RANGE_MEMORY)
        self._context.journal.add_range(self._download, self._entry, byte_range.start, byte_range.stop)
        byte_range.arrived.set_result(None)


def _cut_ranges(start: int, stop: int, size: int) -> Iterator[ByteRange]:
    range_size = max(RANGE_SIZE, -(-size // MAX_RANGES))
    for position in range(start, stop, range_size):
        yield ByteRange(position, min(position + range_size, stop))


MAX_SMALL_BYTES = MIB


class DownloadScheduler:
    """Fetches the missing files of all downloads, the largest first, within `mib` MiB of memory."""

    def __init__(
        self,
        downloads: Sequence[PartialDownload],
        meter: ProgressMeter,
        timeouts: TransferTimeouts,
        mib: int,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._downloads = downloads
        self._stall_detector = StallDetector(timeouts.stall)
        limiter = RequestLimiter(mib * MIB)
        self._context = TransferContext(
            reader=RemoteReader((download.origin for download in downloads), self._stall_detector),
            retry_policy=RetryPolicy(timeouts, limiter, meter),
            tasks=TaskGroup(),
            limiter=limiter,
            meter=meter,
            journal=ArrivalJournal(downloads),
            executor=DiskExecutor(pool),
        )

    async def run(self) -> None:
        """Fetch and verify all files. Raise FetchError, the system's OSError, sqlite3.Error."""
        context = self._context
        context.tasks.start(self._schedule_files())
        watchers = [
            asyncio.ensure_future(run()) for run in (self._stall_detector.run, context.meter.run, context.journal.run)
        ]
        try:
            await context.tasks.finish()
        finally:
            for watcher in watchers:
                watcher.cancel()
            context.journal.write()

    async def _schedule_files(self) -> None:
        """Start one file after the other as memory allows."""
        missing = [zip(itertools.repeat(each), each.catalog.iter_missing()) for each in self._downloads]
        for download, entry in heapq.merge(*missing, key=lambda item: -item[1].size):
            if entry.size > MAX_SMALL_BYTES:
                file = LargeFile(download, entry, self._context)
                self._context.tasks.start(file.fetch())
                await file.all_requested.wait()
            else:
                await self._context.limiter.acquire(entry.size)
                self._context.tasks.start(self._fetch_small_file(download, entry))

    async def _fetch_small_file(self, download: PartialDownload, entry: SourceFile) -> None:
        context, path = self._context, download.files / entry.name

        async def fetch_and_write() -> str:
            content = await context.reader.read_file(download.origin, entry) if entry.size else b""
            return await context.executor(cache_store.write_verified_file, path, entry, content)

        try:
            sha256 = await context.retry_policy.retry(download, entry, fetch_and_write)
        finally:
            context.limiter.release(entry.size)
        context.journal.add_file(download, entry, sha256)
        context.meter.add_bytes(entry.size)


class Downloader:
    """Fetches the data of surveyed sources. It holds the locks of their folders for as long as it lives."""

    def __init__(
        self, request: TransferRequest, surveys: Sequence[SourceSurvey], on_progress: Callable[[int, int, float], None]
    ) -> None:
        self._request = request
        self._surveys = {survey.folder: survey for survey in surveys if survey.folder}
        self._on_progress = on_progress
        self._locks: dict[Path, FolderLock] = {}
        self._pool = ThreadPoolExecutor(DISK_THREADS)

    def fetch_folders(self) -> dict[Path, Path]:
        """Return the complete files of every folder. Raise FetchError, OSError, sqlite3.Error."""
        cached: dict[Path, Path] = {}
        downloads: list[PartialDownload] = []
        try:
            for folder in sorted(self._surveys):  # every process in the same order: no deadlocks
                on_wait = partial(print, f"another run is fetching {folder}: waiting", flush=True)
                lock = self._locks[folder] = FolderLock(folder, on_wait)
                if files := lock.acquire(partial(cache_store.verify_after_boot, pool=self._pool)):
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
            self._pool.shutdown(cancel_futures=True)
            for download in downloads:
                download.suspend()
            if errors.is_disk_full(error):  # free the disk for other things
                for folder in self._locks.keys() - cached.keys():
                    shutil.rmtree(cache_store.get_partial_folder(folder), ignore_errors=True)
            raise

    def _prepare_download(self, folder: Path) -> PartialDownload:
        survey = self._surveys[folder]
        assert survey.origin is not None
        if not survey.listing.exists():  # the data was cached during the survey
            _, digest = write_listing(survey.origin, survey.listing, survey.needed)
            if digest != survey.digest:
                raise FetchError(
                    survey.origin.find_pin_mismatch(digest) or f"{survey.request.uri} changed after the survey", "data"
                )
        download = PartialDownload(survey.name, survey.request.pin, survey.origin, folder, survey.listing)
        if download.damaged:
            print(f"{folder} was changed or damaged: fetching its damaged files again", flush=True)
        if arrived := download.catalog.count_arrived_bytes():
            print(f"checking {format_size(arrived)} of {download.name} from an earlier try", flush=True)
        download.verify_arrived(self._pool)
        return download

    def _fetch_downloads(self, downloads: Sequence[PartialDownload]) -> None:
        sizes = [download.catalog.measure() for download in downloads]
        done = sum(download.catalog.count_arrived_bytes() for download in downloads)
        total, files = sum(size.size for size in sizes), sum(size.files for size in sizes)
        print(f"fetching {files:,} files of {len(downloads)} sources: {format_size(total - done)}", flush=True)
        meter = ProgressMeter(done, total, self._on_progress)
        asyncio.run(
            DownloadScheduler(downloads, meter, self._request.patience, self._request.download_mib, self._pool).run()
        )
        meter.finish(files)
