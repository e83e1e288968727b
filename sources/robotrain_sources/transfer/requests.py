"""Requests for files through obstore, which waits and retries; what is repeated beyond that; and progress."""

import asyncio
import importlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

from robotrain_runtime.contract.event import Fault
from robotrain_runtime.contract.files import format_duration, format_size

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import (
    ContentMismatch,
    FetchError,
    describe_file_change,
    is_transient,
    is_unauthenticated,
)
from robotrain_sources.transfer.cache_store import PartialDownload
from robotrain_sources.transfer.origin import DataOrigin, SourceFile, StoreOptions, TransferTimeouts

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
                print(self._format_line(rate), flush=True)

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

    def _format_line(self, rate: float) -> str:
        progress = f"fetching: {format_size(self._done)} of {format_size(self._total)}, {format_size(rate)}/s"
        if not rate:
            return f"{progress}, no data for {self.idle_seconds:.0f} s"
        return f"{progress}, {format_duration((self._total - self._done) / rate)} left"


CHUNK_SIZE = 1 << 18
"""Bytes to wait for at a time: each wait costs processor time, and progress is counted by it."""
MAX_TRIES = 1 << 16


def make_store_options(timeouts: TransferTimeouts, *, survey: bool = False) -> StoreOptions:
    """Return how the stores wait and retry: during the survey once, later until nothing has come for too long."""
    wait = timeouts.asking if survey else timeouts.stall
    client: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": timedelta(seconds=wait),  # for the next bytes
        "timeout": timedelta(hours=1),  # of a whole body, which may take long on a slow line
        "pool_max_idle_per_host": "64",
        "pool_idle_timeout": timedelta(minutes=1),
    }
    backoff = {"init_backoff": timedelta(seconds=timeouts.first), "max_backoff": timedelta(seconds=timeouts.longest)}
    retry = {
        "max_retries": 1 if survey else MAX_TRIES,
        "retry_timeout": timedelta(seconds=timeouts.giving_up),
        "backoff": {**backoff, "base": 2},
    }
    return StoreOptions(client_options=client, retry_config=retry)


class RemoteReader:
    """Reads files from the stores of several origins. Raises FetchError if a store cannot be opened."""

    def __init__(self, origins: Iterable[DataOrigin], options: StoreOptions) -> None:
        self._get: Any = importlib.import_module("obstore").get_async
        self._stores = {id(origin): _open_store(origin, options) for origin in origins}

    async def read_file(self, origin: DataOrigin, entry: SourceFile) -> Any:
        """Return all bytes of a file."""
        return await (await self._send_request(origin, entry, {})).bytes_async()

    async def read_range(self, origin: DataOrigin, entry: SourceFile, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` to `stop`.

        Of an origin without ranges, all of the file is requested, and `start` is 0.
        """
        answer = await self._send_request(origin, entry, {"range": (start, stop)} if origin.has_ranges else {})
        async for chunk in answer.stream(min_chunk_size=CHUNK_SIZE):
            yield chunk

    async def _send_request(self, origin: DataOrigin, entry: SourceFile, options: dict[str, Any]) -> Any:
        if entry.version and origin.has_ranges:
            options["if_match"] = entry.version
        return await self._get(self._stores[id(origin)], origin.get_store_path(entry.name), options=options)


def _open_store(origin: DataOrigin, options: StoreOptions) -> Any:
    try:
        return origin.open_store(options)
    except Exception as error:
        raise origin.explain_error(error) from error


MAX_MISMATCHES = 4
"""Tries of a file whose content differs from its listing."""

Result = TypeVar("Result")


class RetryPolicy:
    """When to repeat what obstore gave up: content that differs, a token that expired, or while other data arrives."""

    def __init__(self, timeouts: TransferTimeouts, meter: ProgressMeter) -> None:
        self._timeouts = timeouts
        self._meter = meter

    async def retry(
        self, download: PartialDownload, entry: SourceFile, action: Callable[[], Awaitable[Result]]
    ) -> Result:
        """Return the result of the first `action` that succeeds. Raise FetchError, and the system's OSError."""
        mismatches = unauthenticated = 0
        while True:
            try:
                return await action()
            except ContentMismatch as error:
                mismatches += 1
                if mismatches == MAX_MISMATCHES:
                    why = f"{entry.name} of {download.name} differs from its listing after {MAX_MISMATCHES} tries"
                    raise FetchError(f"{why} ({error}): upload it again", "data") from error
            except Exception as error:
                unauthenticated += is_unauthenticated(error)
                self._raise_unless_retryable(error, download, entry, unauthenticated == 1)
            await asyncio.sleep(self._timeouts.first)

    def _raise_unless_retryable(
        self, error: Exception, download: PartialDownload, entry: SourceFile, is_new_token_due: bool
    ) -> None:
        if errors.is_out_of_memory(error) or (isinstance(error, OSError) and error.errno):
            raise error
        if change := describe_file_change(error):
            raise FetchError(
                f"{entry.name} of {download.name} was {change} while it was fetched: start the run again", "data"
            )
        cause = download.origin.explain_error(error)
        is_configuration = cause.fault == "configuration"
        if not is_transient(error):
            raise cause from error
        if self._meter.idle_seconds > self._timeouts.giving_up:
            fault: Fault = "configuration" if is_configuration else "network"
            raise FetchError(f"no data for {self._meter.idle_seconds:.0f} s: {cause}", fault) from error
        if is_configuration and not (is_new_token_due and is_unauthenticated(error)):
            raise cause from error  # waiting does not mend it: an expired SAS, a revoked token
