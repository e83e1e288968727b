"""The transfer as container plugins use it: a carrier that surveys and fetches their sources in this very process.

A container plugin that names this module as its `CARRIER` opens its sources itself (`OriginModule`), or names the
module that does in `ORIGIN`. It may define `get_request_uri(source, place)`: the address to open instead of the
source's own.
"""

import fcntl
import os
import queue
import shutil
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar

from robotrain_runtime.contract.container_plugin import (
    BatchFetch,
    ContainerContext,
    SourceContainerPlugin,
    SurveyedSource,
)
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Download
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.files import lock_file
from robotrain_runtime.contract.plugin_loader import load_container_plugin
from robotrain_runtime.contract.problem import summarize_problem
from robotrain_runtime.data_environment import ENVIRONMENT

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.fetching.quiet import silence_libraries
from robotrain_sources.transfer import origin
from robotrain_sources.transfer.scheduler import Downloader
from robotrain_sources.transfer.survey import SourceSurvey, survey_sources

SCRATCH_NAME = "transfer-scratch"


class ScratchFolder:
    """A scratch folder in the cache, locked while in use; leftovers of killed processes are removed. Raises OSError."""

    def __init__(self, cache: Path) -> None:
        parent = cache / "data"
        parent.mkdir(parents=True, exist_ok=True)
        self._lock: IO[str] = (parent / f"{SCRATCH_NAME}.lock").open("a")
        self.path = parent / f".{SCRATCH_NAME}.{os.urandom(4).hex()}"
        try:
            with suppress(OSError):  # the file system has no locks
                leftovers = parent.glob(f".{SCRATCH_NAME}.*") if lock_file(self._lock.fileno()) else ()
                for leftover in leftovers:  # no other run uses one
                    shutil.rmtree(leftover, ignore_errors=True)
            with suppress(OSError):
                fcntl.flock(self._lock, fcntl.LOCK_SH)
                os.utime(self._lock.fileno())
            self.path.mkdir(mode=0o700)
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


__all__ = ["ENVIRONMENT", "deliver"]

TIMEOUTS = origin.TransferTimeouts()
POLL_SECONDS = 0.5

T = TypeVar("T")


class TransferContainerPlugin(SourceContainerPlugin):
    """A source kind whose sources the transfer engine fetches."""

    ORIGIN: str = ""
    """The module that lists and reads its files, unless it is the plugin itself."""

    def get_request_uri(self, source: JobSource, context: ContainerContext) -> str:
        """Return the address to fetch."""
        return source.uri


def deliver(
    sources: Sequence[JobSource],
    container_plugins: Mapping[str, SourceContainerPlugin],
    context: ContainerContext,
    described: Mapping[str, Sequence[str]],
) -> BatchFetch:
    """Return the transfer of `sources`: one scheduler for all of them."""
    modules = {kind: str(vars(plugin)["__name__"]) for kind, plugin in container_plugins.items()}
    plugins = {kind: load_container_plugin(module, TransferContainerPlugin) for kind, module in modules.items()}
    requests = [
        origin.SourceRequest(
            uri=plugins[source.kind].get_request_uri(source, context),
            pin=source.pin,
            role=source.role,
            origin=plugins[source.kind].ORIGIN or modules[source.kind],
            credential=context.credentials.get(source.kind, ""),
            described=tuple(described.get(source.role, ())),
            way=context.credential_hints.get(source.kind, ""),
            needed=tuple(context.needed_files.get(source, ())),
        )
        for source in sources
    ]
    return Transfer(sources, requests, context)


class Transfer:
    """The transfer of several sources, in a thread of this process: a stop does not wait for it."""

    def __init__(
        self, sources: Sequence[JobSource], requests: Sequence[origin.SourceRequest], context: ContainerContext
    ) -> None:
        self._sources = sources
        self._requests = requests
        self._place = context
        self._stopped = threading.Event()
        self._surveys: Sequence[SourceSurvey] = ()
        self._request: origin.TransferRequest | None = None
        self._scratch: ScratchFolder | None = None
        self._downloader: Downloader | None = None
        self._close_lock = threading.Lock()
        self._is_busy = False

    def survey(self) -> Sequence[SurveyedSource]:
        """Survey each source, in their order. Raise JobFailed if it is not possible to write to the cache."""
        silence_libraries()
        try:
            self._scratch = ScratchFolder(self._place.cache)
        except OSError as error:
            raise self._make_failure(error) from error
        self._request = request = origin.TransferRequest(
            sources=self._requests,
            cache=self._place.cache,
            scratch=self._scratch.path,
            download_mib=self._place.download_mib,
            patience=TIMEOUTS,
            log_line=self._place.log_line,
            stopped=self._stopped,
        )
        self._surveys = self._call(lambda: survey_sources(request))
        return [_convert_survey(source, survey) for source, survey in zip(self._sources, self._surveys, strict=True)]

    def fetch(self, progress: Callable[[Download], None]) -> Mapping[JobSource, Path]:
        """Fetch; return the folder of each source, complete, verified and locked until `close`. Raise JobFailed."""

        def report_progress(done_bytes: int, total: int, rate: float) -> None:
            if not self._stopped.is_set():
                progress(Download(done=done_bytes, total=total, rate=rate))

        def fetch_folders() -> Mapping[Path, Path]:
            for survey in self._surveys:
                if survey.problems:
                    raise FetchError("; ".join(map(summarize_problem, survey.problems)), survey.fault)
            assert self._request is not None
            self._downloader = Downloader(self._request, self._surveys, report_progress)
            return self._downloader.fetch_folders()

        folders = self._call(fetch_folders)
        surveyed = zip(self._sources, self._surveys, strict=True)
        return {source: folders[survey.folder] for source, survey in surveyed if survey.folder}

    def close(self) -> None:
        """Stop what is still running, without waiting for it; what has arrived stays for the next try."""
        with self._close_lock:
            self._stopped.set()
            if not self._is_busy:
                self._release()

    def _call(self, function: Callable[[], T]) -> T:
        """Return what a function returns, in a thread. Raise JobFailed, also if `close` was called meanwhile."""
        outcomes: queue.SimpleQueue[T | Exception] = queue.SimpleQueue()

        def call() -> None:
            outcome: T | Exception
            try:
                outcome = function()
            except Exception as error:
                outcome = error
            with self._close_lock:  # before the answer: the next call may begin at once
                self._is_busy = False
                if self._stopped.is_set():
                    self._release()
            outcomes.put(outcome)

        with self._close_lock:
            if self._stopped.is_set():
                raise JobFailed(origin.STOPPED)
            self._is_busy = True
        threading.Thread(target=call, daemon=True).start()
        try:
            while not self._stopped.is_set():
                with suppress(queue.Empty):
                    outcome = outcomes.get(timeout=POLL_SECONDS)
                    if isinstance(outcome, Exception):
                        raise self._make_failure(outcome) from outcome
                    return outcome
            raise JobFailed(origin.STOPPED)
        except BaseException:
            self.close()
            raise

    def _make_failure(self, error: Exception) -> JobFailed:
        failure = errors.make_fetch_error(error, self._place.cache)
        if failure is not error and not isinstance(error, OSError):
            for traceback_line in "".join(traceback.format_tb(error.__traceback__)).splitlines():
                self._place.log_line(traceback_line)  # where; the failure says what
        return JobFailed(str(failure), fault=failure.fault)

    def _release(self) -> None:
        """Remove the files of the survey, and release the locks of what was fetched."""
        if self._downloader is not None:
            self._downloader.close()
        if self._scratch is not None:
            self._scratch.close()


def _convert_survey(source: JobSource, survey: SourceSurvey) -> SurveyedSource:
    return SurveyedSource(
        source=source,
        problems=tuple(survey.problems),
        fault=survey.fault,
        files=survey.file_count,
        size=survey.size,
        missing=survey.missing,
        digest=survey.digest,
        description_folder=survey.described if survey.described.exists() else None,
    )
