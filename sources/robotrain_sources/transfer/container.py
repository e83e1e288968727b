"""The transfer as container plugins use it: a carrier that surveys and fetches their sources in this very process.

A container plugin that names this module as its `CARRIER` opens its sources itself (`OriginModule`), or names the
module that does in `ORIGIN`. It may define `get_request_uri(source, place)`: the address to open instead of the
source's own.
"""

import importlib
import shutil
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from robotrain_runtime.contract.container_plugin import (
    BatchFetch,
    ContainerContext,
    SourceContainerPlugin,
    SurveyedSource,
)
from robotrain_runtime.contract.deadline import DeadlineFuture
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Download
from robotrain_runtime.contract.failure import Cancelled, JobFailed
from robotrain_runtime.contract.plugin_loader import load_container_plugin
from robotrain_runtime.contract.problem import make_data_problem, summarize_problem
from robotrain_runtime.data_environment import ENVIRONMENT

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.fetching.quiet import call_cancellable, silence_libraries
from robotrain_sources.transfer import fetch as transfer_fetch
from robotrain_sources.transfer.cache import CacheFolder
from robotrain_sources.transfer.fetch import DataDownload, SourceData
from robotrain_sources.transfer.origin import STOPPED, OriginModule, Patience, compute_data_digest

__all__ = ["ENVIRONMENT", "deliver"]

PATIENCE = Patience()

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
    """Return the transfer of `sources`: one pool of threads for all of them."""
    return Transfer(sources, container_plugins, context, described)


class Transfer:
    """The transfer of several sources, in threads that a stop does not wait for."""

    def __init__(
        self,
        sources: Sequence[JobSource],
        plugins: Mapping[str, SourceContainerPlugin],
        context: ContainerContext,
        described: Mapping[str, Sequence[str]],
    ) -> None:
        self._sources, self._context, self._described = sources, context, described
        self._modules = {kind: str(vars(plugin)["__name__"]) for kind, plugin in plugins.items()}
        self._stopped = threading.Event()
        self._data: dict[JobSource, SourceData] = {}
        self._surveys: Sequence[SurveyedSource] = ()
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._locked: list[CacheFolder] = []
        self._state = threading.Lock()
        self._is_busy = False

    def survey(self) -> Sequence[SurveyedSource]:
        """Survey each source, in their order. Raise JobFailed."""
        silence_libraries()
        self._surveys = self._call(self._survey_sources)
        return self._surveys

    def fetch(self, progress: Callable[[Download], None]) -> Mapping[JobSource, Path]:
        """Fetch; return the folder of each source, complete, verified and locked until `close`. Raise JobFailed."""

        def report(done: int, total: int, rate: float) -> None:
            if not self._stopped.is_set():
                progress(Download(done=done, total=total, rate=rate))

        folders = self._call(lambda: self._fetch_folders(report))
        return {source: folders[self._data[source].folder.path] for source in self._sources}

    def close(self) -> None:
        """Stop what is still running, without waiting for it; what has arrived stays for the next try."""
        with self._state:
            self._stopped.set()
            if not self._is_busy:
                self._release()

    def _survey_sources(self) -> Sequence[SurveyedSource]:
        self._scratch = tempfile.TemporaryDirectory(prefix="robotrain-")
        futures = [
            DeadlineFuture(partial(self._survey_source, source, Path(self._scratch.name, str(number))))
            for number, source in enumerate(self._sources)
        ]
        return [future.result() for future in futures]

    def _survey_source(self, source: JobSource, target: Path) -> SurveyedSource:
        context = self._context
        described = self._described.get(source.role, ())
        try:
            module = self._modules[source.kind]
            plugin = load_container_plugin(module, TransferContainerPlugin)
            origin = cast(OriginModule, importlib.import_module(plugin.ORIGIN or module)).open(
                plugin.get_request_uri(source, context),
                source.pin,
                source.role,
                context.credentials.get(source.kind, ""),
                context.credential_hints.get(source.kind, ""),
            )
            needed = context.needed_files.get(source, ())
            needed = (*needed, *described) if needed else ()
            uri = plugin.get_request_uri(source, context)
            data = transfer_fetch.look_up(uri, source.pin, origin, needed, context.cache)
            if origin.remark:
                context.log_line(origin.remark)
            transfer_fetch.read_described(data, described, target, PATIENCE)
        except Exception as error:
            failure = errors.make_fetch_error(error, context.cache)
            problem = make_data_problem(failure.sentence, failure.way)
            return SurveyedSource(source=source, problems=(problem,), fault=failure.fault)
        self._data[source] = data
        return SurveyedSource(
            source=source,
            files=data.count,
            size=data.size,
            missing=data.missing,
            digest=data.folder.path.name,
            description_folder=target if target.exists() else None,
        )

    def _fetch_folders(self, report: Callable[[int, int, float], None]) -> Mapping[Path, Path]:
        for survey in self._surveys:
            if survey.problems:
                raise FetchError("; ".join(map(summarize_problem, survey.problems)), survey.fault)
        log_line = self._context.log_line
        ready: dict[Path, Path] = {}
        missing: list[SourceData] = []
        data_by_path = {data.folder.path: data for data in self._data.values()}
        for path in sorted(data_by_path):  # every process in the same order: no deadlocks
            data = data_by_path[path]
            self._locked.append(data.folder)
            on_wait = partial(log_line, f"another run is fetching {path}: waiting")
            if files := data.folder.acquire(on_wait, self._stopped):
                data.folder.share()
                ready[path] = files
                continue
            if not data.files:  # its pinned data was in the cache when it was surveyed
                data.files = transfer_fetch.list_source(data.origin, data.needed)
                if (digest := compute_data_digest(data.files)) != path.name:
                    change = FetchError(f"{data.name} changed after the survey", "data")
                    raise data.origin.find_pin_mismatch(digest) or change
            data.folder.begin(log_line)
            missing.append(data)
        try:
            if missing:
                mib = self._context.download_mib
                DataDownload(missing, PATIENCE, mib, report, log_line, self._stopped).run()
            for data in missing:
                ready[data.folder.path] = data.folder.finish(data.name, data.pin, data.files, data.digests)
                data.folder.share()
        except OSError as error:
            if errors.is_disk_full(error):  # free the disk for other things
                for data in missing:
                    shutil.rmtree(data.folder.part, ignore_errors=True)
            raise
        return ready

    def _call(self, function: Callable[[], T]) -> T:
        """Return what a function returns, in a thread. Raise JobFailed, also if `close` was called meanwhile."""

        def call() -> T:
            try:
                return function()
            except Exception as error:
                raise self._make_failure(error) from error
            finally:
                with self._state:
                    self._is_busy = False
                    if self._stopped.is_set():
                        self._release()

        with self._state:
            if self._stopped.is_set():
                raise JobFailed(STOPPED)
            self._is_busy = True
        try:
            return call_cancellable(call, self._stopped.is_set)
        except Cancelled:
            raise JobFailed(STOPPED) from None
        except BaseException:
            self.close()
            raise

    def _make_failure(self, error: Exception) -> JobFailed:
        failure = errors.make_fetch_error(error, self._context.cache)
        if failure is not error and not isinstance(error, OSError):
            for traceback_line in "".join(traceback.format_tb(error.__traceback__)).splitlines():
                self._context.log_line(traceback_line)  # where; the failure says what
        return JobFailed(str(failure), fault=failure.fault)

    def _release(self) -> None:
        """Remove the files of the survey, and release the locks of what was fetched."""
        for folder in self._locked:
            folder.close()
        if self._scratch is not None:
            self._scratch.cleanup()
