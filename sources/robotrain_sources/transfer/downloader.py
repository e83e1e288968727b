"""The fetch after the survey: one scheduler, small files whole, large ones in ranges, all verified."""

import asyncio
import heapq
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

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import ContentMismatch, FetchError
from robotrain_sources.fetching.files import format_size
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
    """One thing to do, and who waits for it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: "asyncio.Future[Any]"
    result: Any = None
    failure: Exception | None = None

    def run(self) -> None:
        """Do it, in the thread that this is."""
        try:
            self.result = self.function(*self.arguments)
        except Exception as error:
            self.failure = error

    def set_future(self) -> None:
        """Tell who waits, in the loop's thread."""
        if self.future.done():  # cancelled meanwhile
            return
        if self.failure:
            self.future.set_exception(self.failure)
        else:
            self.future.set_result(self.result)


class DiskExecutor:
    """Called in the loop. pool: of `THREADS`."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._waiting: deque[DiskTask] = deque()
        self._busy = 0

    async def __call__(self, act: Callable[..., T], *given: Any) -> T:
        """What `act` gives, or raises."""
        task = DiskTask(act, given, asyncio.get_running_loop().create_future())
        self._waiting.append(task)
        self._start_batches()
        result: T = await task.future
        return result

    def _start_batches(self) -> None:
        while self._waiting and self._busy < DISK_THREADS:
            some = [self._waiting.popleft() for _ in range(min(BATCH_SIZE, len(self._waiting)))]
            self._busy += 1
            self._pool.submit(self._run_batch, some, asyncio.get_running_loop())

    def _run_batch(self, tasks: Sequence[DiskTask], loop: asyncio.AbstractEventLoop) -> None:
        for task in tasks:
            task.run()
        with suppress(RuntimeError):  # the loop is over: nobody waits
            loop.call_soon_threadsafe(self._finish_batch, tasks)

    def _finish_batch(self, tasks: Sequence[DiskTask]) -> None:
        self._busy -= 1
        self._start_batches()
        for task in tasks:
            task.set_future()


class TaskGroup:
    """Started tasks."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """One more."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        if self._failure:
            task.cancel()

    async def finish(self) -> None:
        """Wait for all, those too that others start meanwhile. Raises the first failure."""
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        except BaseException:
            self._cancel_all()
            raise
        if self._failure:
            raise self._failure

    def _on_task_done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) and not self._failure:
            self._failure = failure
            self._cancel_all()

    def _cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()


WRITE_SECONDS = 0.5


class ArrivalJournal:
    """Of the files of `parts`."""

    def __init__(self, downloads: Sequence[PartialDownload]) -> None:
        self._files: dict[PartialDownload, list[tuple[str, str]]] = {part: [] for part in downloads}
        self._ranges: dict[PartialDownload, list[tuple[str, int, int]]] = {part: [] for part in downloads}

    def add_file(self, download: PartialDownload, entry: SourceFile, sha256: str) -> None:
        """It is complete, and verified."""
        self._files[download].append((entry.name, sha256))

    def add_range(self, download: PartialDownload, entry: SourceFile, start: int, stop: int) -> None:
        """This much of it is written."""
        self._ranges[download].append((entry.name, start, stop))

    def discard_file(self, download: PartialDownload, entry: SourceFile) -> None:
        """All of it has to come again."""
        self._files[download].append((entry.name, ""))
        self.write()

    def write(self) -> None:
        """Write all that is not yet written. Raises sqlite3.Error."""
        for part, files in self._files.items():
            ranges = self._ranges[part]
            if files or ranges:
                part.catalog.record_arrival(files, ranges)
                files.clear()
                ranges.clear()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            self.write()


MIB = 1 << 20
RANGE_SIZE, MAX_RANGES = 8 * MIB, 1024
RANGE_MEMORY = 2 * CHUNK_SIZE
"""What a request for a range holds in memory: the chunk that is being written, and the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferContext:
    """What a file is fetched with."""

    reader: RemoteReader
    retry_policy: RetryPolicy
    tasks: TaskGroup
    limiter: RequestLimiter
    meter: ProgressMeter
    journal: ArrivalJournal
    executor: DiskExecutor


@dataclass(eq=False, slots=True)
class ByteRange:
    """A range. arrived: done once it is written."""

    start: int
    stop: int
    arrived: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class LargeFile:
    """One file. asked: set once everything of it is asked for."""

    def __init__(self, download: PartialDownload, entry: SourceFile, context: TransferContext) -> None:
        self._download = download
        self._entry = entry
        self._context = context
        self.all_requested = asyncio.Event()

    async def fetch(self) -> None:
        """Fetch and verify it."""
        own = await self._context.retry_policy.retry(self._download, self._entry, self._fetch_and_verify)
        self._context.journal.add_file(self._download, self._entry, own)

    async def _fetch_and_verify(self) -> str:
        handle = await self._context.executor(cache_store.open_for_writing, self._download.files / self._entry.name)
        os.ftruncate(handle, self._entry.size)
        spans, missing = self._plan_ranges()
        self._context.tasks.start(self._request_ranges(handle, missing))
        digests = cache_store.FileVerifier(self._entry)
        for span in spans:
            await span.arrived
            await self._context.executor(digests.update_from_file, handle, span.start, span.stop)
        os.close(handle)  # not when it failed: a thread may still be writing to that number
        try:
            return digests.finish()
        except ContentMismatch:
            self._context.journal.discard_file(self._download, self._entry)
            self._context.meter.add_bytes(-self._entry.size)
            raise

    def _plan_ranges(self) -> tuple[list[ByteRange], list[ByteRange]]:
        """All ranges of the file, in order; and those of them that are not there yet."""
        spans, missing, at = [], [], 0
        for start, stop in self._download.catalog.list_ranges(self._entry.name):
            missing += (between := list(_cut_ranges(at, start, self._entry.size)))
            there = ByteRange(start, stop)
            there.arrived.set_result(None)
            spans += [*between, there]
            at = stop
        missing += (rest := list(_cut_ranges(at, self._entry.size, self._entry.size)))
        return [*spans, *rest], missing

    async def _request_ranges(self, handle: int, missing: Sequence[ByteRange]) -> None:
        for span in missing:
            await self._context.limiter.acquire(RANGE_MEMORY)
            self._context.tasks.start(self._fetch_range(handle, span))
        self.all_requested.set()

    async def _fetch_range(self, handle: int, span: ByteRange) -> None:
        at = span.start

        async def go_on() -> None:
            nonlocal at
            async for pieces in self._context.reader.read_range(self._download.origin, self._entry, at, span.stop):
                came = sum(map(len, pieces))
                if at + came > span.stop:
                    raise ContentMismatch(f"more than {span.stop - span.start} bytes came of a part of it")
                await self._context.executor(cache_store.write_pieces, handle, pieces, at)
                at += came
                self._context.meter.add_bytes(came)
            if at != span.stop:
                raise ContentMismatch(f"a part of it ended at byte {at} instead of {span.stop}")

        try:
            await self._context.retry_policy.retry(self._download, self._entry, go_on)
        finally:
            self._context.limiter.release(RANGE_MEMORY)
        self._context.journal.add_range(self._download, self._entry, span.start, span.stop)
        span.arrived.set_result(None)


def _cut_ranges(start: int, stop: int, size: int) -> Iterator[ByteRange]:
    most = max(RANGE_SIZE, -(-size // MAX_RANGES))
    for at in range(start, stop, most):
        yield ByteRange(at, min(at + most, stop))


MAX_SMALL_BYTES = MIB


class DownloadScheduler:
    """The files of `parts` that are not there yet. pool: for what takes the disk and the processor. mib: of memory."""

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
        room = RequestLimiter(mib * MIB)
        self._context = TransferContext(
            reader=RemoteReader((part.origin for part in downloads), self._stall_detector),
            retry_policy=RetryPolicy(timeouts, room, meter),
            tasks=TaskGroup(),
            limiter=room,
            meter=meter,
            journal=ArrivalJournal(downloads),
            executor=DiskExecutor(pool),
        )

    async def run(self) -> None:
        """Fetch and verify all of it. Raises Refused, the operating system's OSError, sqlite3.Error."""
        means = self._context
        means.tasks.start(self._schedule_files())
        looks = [
            asyncio.ensure_future(look()) for look in (self._stall_detector.run, means.meter.run, means.journal.run)
        ]
        try:
            await means.tasks.finish()
        finally:
            for look in looks:
                look.cancel()
            means.journal.write()

    async def _schedule_files(self) -> None:
        """Begin with one after the other, as there is room."""
        for part, entry in heapq.merge(*map(_iter_missing_files, self._downloads), key=lambda file: -file[1].size):
            if entry.size > MAX_SMALL_BYTES:
                file = LargeFile(part, entry, self._context)
                self._context.tasks.start(file.fetch())
                await file.all_requested.wait()
            else:
                await self._context.limiter.acquire(entry.size)
                self._context.tasks.start(self._fetch_small_file(part, entry))

    async def _fetch_small_file(self, download: PartialDownload, entry: SourceFile) -> None:
        means, path = self._context, download.files / entry.name

        async def once() -> str:
            content = await means.reader.read_file(download.origin, entry) if entry.size else b""
            return await means.executor(cache_store.write_verified_file, path, entry, content)

        try:
            own = await means.retry_policy.retry(download, entry, once)
        finally:
            means.limiter.release(entry.size)
        means.journal.add_file(download, entry, own)
        means.meter.add_bytes(entry.size)


def _iter_missing_files(download: PartialDownload) -> Iterator[tuple[PartialDownload, SourceFile]]:
    return ((download, entry) for entry in download.catalog.iter_missing())


class Downloader:
    """The data of the sources that were looked at. tell: gets how far it is. Its locks last as long as it does."""

    def __init__(
        self, request: TransferRequest, surveys: Sequence[SourceSurvey], on_progress: Callable[[int, int, float], None]
    ) -> None:
        self._request = request
        self._surveys = {look.folder: look for look in surveys if look.folder}
        self._on_progress = on_progress
        self._locks: dict[Path, FolderLock] = {}
        self._pool = ThreadPoolExecutor(DISK_THREADS)

    def fetch_folders(self) -> dict[Path, Path]:
        """The files of every folder, complete. Raises Refused, OSError, sqlite3.Error."""
        there: dict[Path, Path] = {}
        parts: list[PartialDownload] = []
        try:
            for folder in sorted(self._surveys):  # everybody in the same order, so that no two wait for each other
                if found := self._lock_folder(folder):
                    there[folder] = found
                else:
                    parts.append(self._prepare_download(folder))
            if parts:
                self._fetch_downloads(parts)
            return there | {part.folder: self._finish_download(part) for part in parts}
        except BaseException as error:
            self._pool.shutdown(cancel_futures=True)
            for part in parts:
                part.suspend()
            if errors.is_disk_full(error):  # the room is needed for other things
                for folder in self._locks.keys() - there.keys():
                    shutil.rmtree(cache_store.get_partial_folder(folder), ignore_errors=True)
            raise

    def _lock_folder(self, folder: Path) -> Path | None:
        told = partial(print, f"another run is fetching {folder}: waiting", flush=True)
        hold = self._locks[folder] = FolderLock(folder, told)
        if found := hold.acquire(partial(cache_store.verify_after_boot, pool=self._pool)):
            hold.share()
        return found

    def _prepare_download(self, folder: Path) -> PartialDownload:
        look = self._surveys[folder]
        assert look.origin is not None
        if not look.listing.exists():  # it lay here when it was looked at
            _, digest = write_listing(look.origin, look.listing)
            if digest != look.digest:
                raise FetchError(
                    look.origin.find_pin_mismatch(digest) or f"{look.request.uri} has changed since", "data"
                )
        part = PartialDownload(look.request.uri, look.request.pin, look.origin, folder, look.listing)
        if part.damaged:
            print(f"{folder} had been changed or damaged: what is not whole is fetched again", flush=True)
        if arrived := part.catalog.count_arrived_bytes():
            print(f"checking {format_size(arrived)} of {part.name} that an earlier try left", flush=True)
        part.verify_arrived(self._pool)
        return part

    def _fetch_downloads(self, downloads: Sequence[PartialDownload]) -> None:
        totals = [part.catalog.measure() for part in downloads]
        done, total = sum(part.catalog.count_arrived_bytes() for part in downloads), sum(found.size for found in totals)
        files = sum(found.files for found in totals)
        print(f"fetching {files:,} files of {len(downloads)} sources: {format_size(total - done)}", flush=True)
        meter = ProgressMeter(done, total, self._on_progress)
        asyncio.run(
            DownloadScheduler(downloads, meter, self._request.patience, self._request.download_mib, self._pool).run()
        )
        meter.finish(files)

    def _finish_download(self, download: PartialDownload) -> Path:
        files = download.finish()
        self._locks[download.folder].share()
        return files
