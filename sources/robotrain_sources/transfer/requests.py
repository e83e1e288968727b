"""Requests for files: reading, repetition and progress."""

import importlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from robotrain_sources.transfer.origin import CLIENT_OPTIONS, DataOrigin, SourceFile, TransferTimeouts

LINE_SECONDS, RATE_SECONDS = 5.0, 5.0


class ProgressMeter:
    """Bytes fetched so far; `on_progress` gets done, total and the recent rate in bytes a second."""

    def __init__(
        self,
        done: int,
        total: int,
        on_progress: Callable[[int, int, float], None],
        log_line: Callable[[str], object],
    ) -> None:
        self._log_line = log_line
        self._done = self._most = self._initial_bytes = done
        self._total = total
        self._on_progress = on_progress
        self._started = self._last_gain = self._last_line = time.monotonic()
        self._last_repetition_line = -LINE_SECONDS
        self._recent = deque([(self._started, done)])
        self._lock = threading.Lock()

    def add_bytes(self, count: int) -> None:
        """Count bytes that arrived; a negative count when a request begins again."""
        with self._lock:
            self._done += count
            if self._done > self._most:
                self._most, self._last_gain = self._done, time.monotonic()

    def discard_bytes(self, count: int) -> None:
        """Count bytes of a file that has to be fetched again."""
        with self._lock:
            self._done -= count
            self._most -= count

    @property
    def idle_seconds(self) -> float:
        """Seconds since there were more bytes than ever before."""
        return time.monotonic() - self._last_gain

    def report(self) -> None:
        """Report how far it is, with a line for people now and then."""
        now = time.monotonic()
        rate = self._compute_rate()
        self._on_progress(self._done, self._total, rate)
        if now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            progress = f"fetching: {format_size(self._done)} of {format_size(self._total)}, {format_size(rate)}/s"
            time_left = f"{format_duration((self._total - self._done) / rate)} left" if rate else ""
            self._log_line(f"{progress}, {time_left or f'no data for {self.idle_seconds:.0f} s'}")

    def report_repetition(self, file: str, error: FetchError) -> None:
        """Say that a request is repeated; of many, a line now and then."""
        with self._lock:
            if time.monotonic() - self._last_repetition_line < LINE_SECONDS:
                return
            self._last_repetition_line = time.monotonic()
        self._log_line(f"requesting {file} again: {str(error).partition(chr(10))[0]}")

    def finish(self, files: int) -> None:
        """Report that everything has arrived."""
        self._on_progress(self._total, self._total, self._compute_rate())
        seconds = time.monotonic() - self._started
        fetched = max(0, self._done - self._initial_bytes)
        self._log_line(f"fetched {format_size(fetched)} in {seconds:.1f} s: {files:,} files, each one verified")

    def _compute_rate(self) -> float:
        now = time.monotonic()
        self._recent.append((now, self._done))
        while len(self._recent) > 2 and now - self._recent[0][0] > RATE_SECONDS:
            self._recent.popleft()
        start_time, done_bytes = self._recent[0]
        return max(0.0, (self._done - done_bytes) / (now - start_time)) if now > start_time else 0.0


CHUNK_SIZE = 1 << 18
TIMEOUT_MARK = "kind: Timeout"


class RemoteReader:
    """Reads files from the stores of several origins. Raises FetchError if a store cannot be opened.

    A request that brings no data for `stall_seconds` raises TimeoutError.
    """

    def __init__(self, origins: Iterable[DataOrigin], stall_seconds: float) -> None:
        self._get: Any = importlib.import_module("obstore").get
        self._stores: dict[int, Any] = {}
        self._stall_seconds = stall_seconds
        options = {**CLIENT_OPTIONS, "read_timeout": f"{stall_seconds * 1000:.0f}ms"}
        for origin in origins:
            try:
                self._stores[id(origin)] = origin.open_store(options)
            except Exception as error:
                raise origin.explain_error(error) from error

    def read_file(self, origin: DataOrigin, entry: SourceFile) -> Any:
        """Return all bytes of a file."""
        with self._raise_timeout():
            return self._send_request(origin, entry, {}).bytes()

    def read_range(self, origin: DataOrigin, source_file: SourceFile, start: int, stop: int) -> Iterator[Any]:
        """Yield the bytes from `start` to `stop`; of an origin without ranges, those of the whole file."""
        options = {"range": (start, stop)} if origin.has_ranges else {}
        with self._raise_timeout():
            yield from self._send_request(origin, source_file, options).stream(min_chunk_size=CHUNK_SIZE)

    def _send_request(self, origin: DataOrigin, entry: SourceFile, options: dict[str, Any]) -> Any:
        if entry.version and origin.has_ranges:
            options["if_match"] = entry.version
        return self._get(self._stores[id(origin)], origin.get_store_path(entry.name), options=options)

    @contextmanager
    def _raise_timeout(self) -> Iterator[None]:
        """Raise a timeout of obstore, which has no class for it, as TimeoutError."""
        try:
            yield
        except Exception as error:
            if TIMEOUT_MARK in str(error):
                raise TimeoutError(f"no data for {self._stall_seconds:g} s") from None
            raise


MAX_MISMATCHES = 4
"""Tries of a file whose content differs from its listing."""

Result = TypeVar("Result")


@dataclass(slots=True, kw_only=True)
class RetryRule:
    """When to repeat one request, and what is said if it is not repeated."""

    download: PartialDownload
    entry: SourceFile
    meter: ProgressMeter
    timeouts: TransferTimeouts
    mismatches: int = 0
    rejections: int = 0
    """How often the service did not know the caller: the token may just have expired."""

    def retry(self, request: Callable[[], Result]) -> Result:
        """Return the result of the first `request` that succeeds. Raise FetchError, and the system's OSError."""
        attempts = importlib.import_module("stamina").retry_context(
            on=self.is_worth_repeating,
            attempts=None,
            timeout=None,
            wait_initial=self.timeouts.first,
            wait_jitter=self.timeouts.first,
            wait_max=self.timeouts.longest,
        )
        try:
            for attempt in attempts:
                with attempt:
                    return request()
        except FetchError:
            raise
        except Exception as error:
            if _is_of_machine(error):
                raise
            raise self.explain(error) from error
        raise AssertionError

    def is_worth_repeating(self, error: Exception) -> bool:
        """Return whether the same request may succeed later; called once for each failure."""
        if _is_of_machine(error) or not is_transient(error) or self.meter.idle_seconds > self.timeouts.giving_up:
            return False
        self.mismatches += isinstance(error, ContentMismatch)
        self.rejections += is_unauthenticated(error)
        if self.mismatches >= MAX_MISMATCHES:
            return False
        cause = self._explain_cause(error)
        is_first_rejection = is_unauthenticated(error) and self.rejections == 1
        if cause.fault == "configuration" and not is_first_rejection:
            return False  # waiting mends neither an expired SAS nor a revoked token
        self.meter.report_repetition(f"{self.entry.name} of {self.download.name}", cause)
        return True

    def explain(self, error: Exception) -> FetchError:
        """Return the FetchError for a request that is not repeated."""
        file = f"{self.entry.name} of {self.download.name}"
        if change := describe_file_change(error):
            return FetchError(f"{file} was {change} while it was fetched: start the run again", "data")
        if isinstance(error, ContentMismatch) and self.mismatches >= MAX_MISMATCHES:
            reason = f"{file} differs from its listing after {MAX_MISMATCHES} tries ({error})"
            return FetchError(f"{reason}: upload it again", "data")
        cause = self._explain_cause(error)
        if is_transient(error) and self.meter.idle_seconds > self.timeouts.giving_up:
            fault: Fault = "configuration" if cause.fault == "configuration" else "network"
            return FetchError(f"no data for {self.meter.idle_seconds:.0f} s: {cause}", fault)
        return cause

    def _explain_cause(self, error: Exception) -> FetchError:
        if isinstance(error, ContentMismatch):
            return FetchError(str(error), "data")
        return self.download.origin.explain_error(error)


def _is_of_machine(error: Exception) -> bool:
    return errors.is_out_of_memory(error) or (isinstance(error, OSError) and bool(error.errno))
