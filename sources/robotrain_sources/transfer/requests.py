"""Requests for files: concurrency, stalls, retries and progress.

obstore could retry by itself, but silently, so that requests could not become fewer: on a busy machine, tests of Azure
then gave up with "no data". Nor does it repeat a request whose token was rejected because it has expired.
"""

import asyncio
import importlib
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

from robotrain_runtime.contract.event import Fault
from robotrain_runtime.contract.files import format_duration, format_size

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import (
    ContentMismatch,
    FetchError,
    RequestStalled,
    describe_file_change,
    is_transient,
    is_unauthenticated,
)
from robotrain_sources.transfer.cache_store import PartialDownload
from robotrain_sources.transfer.origin import DataOrigin, SourceFile, TransferTimeouts

EVENT_SECONDS, LINE_SECONDS, RATE_SECONDS = 0.5, 5.0, 5.0


class ProgressMeter:
    """Bytes fetched so far; `on_progress` gets done, total and the recent rate in bytes a second."""

    def __init__(self, done: int, total: int, on_progress: Callable[[int, int, float], None]) -> None:
        self._done, self._total = done, total
        self._on_progress = on_progress
        self._started = self._last_arrival = time.monotonic()
        self._initial_bytes = done
        self._recent = deque([(self._started, done)])

    def add_bytes(self, count: int) -> None:
        """Count bytes that arrived; a negative count when some have to be fetched again."""
        self._done += count
        if count > 0:
            self._last_arrival = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last byte arrived."""
        return time.monotonic() - self._last_arrival

    async def run(self) -> None:
        """Report until cancelled."""
        last_line = self._started
        while True:
            await asyncio.sleep(EVENT_SECONDS)
            now, rate = time.monotonic(), self._compute_rate()
            self._on_progress(self._done, self._total, rate)
            if now - last_line >= LINE_SECONDS:
                last_line = now
                progress = f"fetching: {format_size(self._done)} of {format_size(self._total)}, {format_size(rate)}/s"
                rest = f"{format_duration((self._total - self._done) / rate)} left" if rate else ""
                print(f"{progress}, {rest or f'no data for {self.idle_seconds:.0f} s'}", flush=True)

    def finish(self, files: int) -> None:
        """Report that everything has arrived."""
        self._on_progress(self._total, self._total, self._compute_rate())
        seconds, fetched = time.monotonic() - self._started, max(0, self._done - self._initial_bytes)
        print(f"fetched {format_size(fetched)} in {seconds:.1f} s: {files:,} files, each one verified", flush=True)

    def _compute_rate(self) -> float:
        now = time.monotonic()
        self._recent.append((now, self._done))
        while len(self._recent) > 2 and now - self._recent[0][0] > RATE_SECONDS:
            self._recent.popleft()
        since, done = self._recent[0]
        return max(0.0, (self._done - done) / (now - since)) if now > since else 0.0


Received = TypeVar("Received")


class StallDetector:
    """Cancels waits that take longer than `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[asyncio.Future[Any], float] = {}
        self._stalled: set[asyncio.Future[Any]] = set()

    async def wait_for(self, answer: Awaitable[Received]) -> Received:
        """Return the result of `answer`. Raise RequestStalled if it takes too long."""
        waited = asyncio.ensure_future(answer)
        self._waiting[waited] = time.monotonic()
        try:
            return await waited
        except asyncio.CancelledError:
            if waited in self._stalled:
                raise RequestStalled(f"no data for {self._seconds:g} s") from None
            waited.cancel()
            raise
        finally:
            del self._waiting[waited]
            self._stalled.discard(waited)

    async def run(self) -> None:
        """Watch until cancelled."""
        pause = min(1.0, self._seconds / 4)
        while True:
            before = time.monotonic()
            await asyncio.sleep(pause)
            late = time.monotonic() - before - pause  # this process itself was busy: not a stall
            for waited, since in list(self._waiting.items()):
                if late > pause:
                    self._waiting[waited] = time.monotonic()
                elif time.monotonic() - since > self._seconds:
                    self._stalled.add(waited)
                    waited.cancel()


MAX_REQUESTS = 32
CUT_SECONDS = 1.0


class RequestLimiter:
    """Limits concurrent requests and the bytes they hold in memory; first come, first served."""

    def __init__(self, size: int) -> None:
        self._limit = float(MAX_REQUESTS)
        self._size = size
        self._under_way = self._bytes_in_use = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._last_cut = 0.0

    async def acquire(self, size: int) -> None:
        """Wait until one more request with at most `size` bytes may start."""
        if not self._waiting and self._has_room(size):
            self._occupy(size)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        await turn

    def release(self, size: int) -> None:
        """Free the room of a finished request whose bytes are written."""
        self._limit = min(float(MAX_REQUESTS), self._limit + 1 / self._limit)
        self._under_way -= 1
        self._bytes_in_use -= size
        while self._waiting and self._has_room(self._waiting[0][0]):
            waiting_size, turn = self._waiting.popleft()
            if not turn.done():
                self._occupy(waiting_size)
                turn.set_result(None)

    def slow_down(self) -> None:
        """Halve the number of requests, at most once per CUT_SECONDS: the service or the network is overloaded."""
        if time.monotonic() - self._last_cut > CUT_SECONDS:
            self._last_cut = time.monotonic()
            self._limit = max(1.0, self._limit / 2)

    def _has_room(self, size: int) -> bool:
        return self._under_way < int(self._limit) and (
            self._bytes_in_use + size <= self._size or not self._bytes_in_use
        )

    def _occupy(self, size: int) -> None:
        self._under_way += 1
        self._bytes_in_use += size


MIN_CHUNK_SIZE = 1 << 16
"""Bytes to wait for at a time, at least: a request that delivers so much does not stall."""
CHUNK_SIZE = 1 << 20
"""Bytes to wait for at a time once a request was fast: each wait costs processor time."""
FAST = 1 << 18
"""Bytes a second of one request; a chunk arrives long before it counts as stalled."""


class RemoteReader:
    """Reads files from the stores of several origins. Raises FetchError if a store cannot be opened."""

    def __init__(self, origins: Iterable[DataOrigin], stall_detector: StallDetector) -> None:
        self._get: Any = importlib.import_module("obstore").get_async
        self._stores: dict[int, Any] = {}
        for origin in origins:
            try:
                self._stores[id(origin)] = origin.open_store()
            except Exception as error:
                raise origin.explain_error(error) from error
        self._stall_detector = stall_detector
        self._chunk_sizes = dict.fromkeys(self._stores, MIN_CHUNK_SIZE)
        """Bytes to wait for at a time, of each origin: beside a fast one, a slow one would count as stalled."""

    async def read_file(self, origin: DataOrigin, entry: SourceFile) -> Any:
        """Return all bytes of a file."""
        return await self._stall_detector.wait_for((await self._send_request(origin, entry, {})).bytes_async())

    async def read_range(
        self, origin: DataOrigin, entry: SourceFile, start: int, stop: int
    ) -> AsyncIterator[list[bytes]]:
        """Yield the bytes from `start` to `stop`, about CHUNK_SIZE at a time; also those before a failure.

        Of an origin without ranges, all of the file is requested, and `start` is 0.
        """
        began = time.monotonic()
        answer = await self._send_request(origin, entry, {"range": (start, stop)} if origin.has_ranges else {})
        stream = answer.stream(min_chunk_size=self._chunk_sizes[id(origin)])
        chunks: list[bytes] = []
        chunk_bytes = 0
        failure: Exception | None = None
        while not failure:
            try:
                chunks.append(await self._stall_detector.wait_for(stream.__anext__()))
                chunk_bytes += len(chunks[-1])
            except Exception as error:
                failure = error
            if chunks and (failure or chunk_bytes >= CHUNK_SIZE):
                yield chunks
                chunks, chunk_bytes = [], 0
        is_fast = isinstance(failure, StopAsyncIteration) and stop - start > FAST * (time.monotonic() - began)
        self._chunk_sizes[id(origin)] = CHUNK_SIZE if is_fast else MIN_CHUNK_SIZE
        if not isinstance(failure, StopAsyncIteration):
            raise failure

    async def _send_request(self, origin: DataOrigin, entry: SourceFile, options: dict[str, Any]) -> Any:
        if entry.version and origin.has_ranges:
            options["if_match"] = entry.version
        store, path = self._stores[id(origin)], origin.get_store_path(entry.name)
        return await self._stall_detector.wait_for(self._get(store, path, options=options))


MAX_MISMATCHES = 4
"""Tries of a file whose content differs from its listing."""

Result = TypeVar("Result")


class RetryPolicy:
    """When to repeat a request: one rule for all requests of a transfer."""

    def __init__(self, timeouts: TransferTimeouts, limiter: RequestLimiter, meter: ProgressMeter) -> None:
        self._timeouts = timeouts
        self._limiter = limiter
        self._meter = meter

    async def retry(
        self, download: PartialDownload, entry: SourceFile, action: Callable[[], Awaitable[Result]]
    ) -> Result:
        """Return the result of the first `action` that succeeds. Raise FetchError, and the system's OSError."""
        failures = mismatches = unauthenticated = 0
        while True:
            try:
                return await action()
            except Exception as error:
                mismatches += isinstance(error, ContentMismatch)
                unauthenticated += is_unauthenticated(error)
                self._raise_unless_retryable(error, download, entry, mismatches)
                if not isinstance(error, ContentMismatch) and (not is_unauthenticated(error) or unauthenticated > 1):
                    cause = download.origin.explain_error(error)
                    if cause.fault == "configuration":  # waiting mends neither an expired SAS nor a revoked token
                        raise cause from error
            longest = min(self._timeouts.longest, self._timeouts.first * 2.0 ** min(failures, 16))
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))
            failures += 1

    def _raise_unless_retryable(
        self, error: Exception, download: PartialDownload, entry: SourceFile, mismatches: int
    ) -> None:
        if errors.is_out_of_memory(error) or (isinstance(error, OSError) and error.errno):
            raise error
        if change := describe_file_change(error):
            raise FetchError(
                f"{entry.name} of {download.name} was {change} while it was fetched: start the run again", "data"
            )
        if not is_transient(error):
            raise download.origin.explain_error(error) from error
        if mismatches >= MAX_MISMATCHES:
            why = f"{entry.name} of {download.name} differs from its listing after {MAX_MISMATCHES} tries ({error})"
            raise FetchError(f"{why}: upload it again", "data")
        if self._meter.idle_seconds > self._timeouts.giving_up:
            cause = download.origin.explain_error(error)
            fault: Fault = "configuration" if cause.fault == "configuration" else "network"
            raise FetchError(f"no data for {self._meter.idle_seconds:.0f} s: {cause}", fault) from error
        if not isinstance(error, ContentMismatch):
            self._limiter.slow_down()
