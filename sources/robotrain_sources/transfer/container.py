"""The transfer in the container: a carrier that starts the transfer program in the data environment.

A container plugin that names this module as its `CARRIER` opens its sources there (`OriginModule`), or names the module
that does in `ORIGIN`. It may define `get_request_uri(source, place)`: the address to open instead of the source's own.
"""

import dataclasses
import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from robotrain_runtime.contract import failure
from robotrain_runtime.contract.container_plugin import (
    BatchFetch,
    ContainerContext,
    SourceContainerPlugin,
    SurveyedSource,
)
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Download, EventRecord, Fault
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.plugin_loader import load_container_plugin
from robotrain_runtime.process.helper_process import HelperProcess

from robotrain_sources.data_environment import ENVIRONMENT
from robotrain_sources.fetching import errors, program
from robotrain_sources.transfer import origin

SCRATCH_NAME = "transfer-scratch"


class ScratchFolder:
    """A scratch folder in the cache, in use until `close`; the cache's own clean-up finds leftovers. Raises OSError."""

    def __init__(self, cache: Path) -> None:
        parent = cache / "data"
        parent.mkdir(parents=True, exist_ok=True)
        self._lock: IO[str] = (parent / f"{SCRATCH_NAME}.lock").open("a")
        with suppress(OSError):  # the file system has no locks
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            os.utime(self._lock.fileno())
        self.path = parent / f".{SCRATCH_NAME}.{os.urandom(4).hex()}"
        self.path.mkdir(mode=0o700)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


__all__ = ["ENVIRONMENT", "deliver"]

MODULE = "robotrain_sources.transfer"
TIMEOUTS = origin.TransferTimeouts()


class TransferContainerPlugin(SourceContainerPlugin):
    """A source kind whose sources the transfer engine fetches."""

    ORIGIN: str = ""
    """The module that lists and reads its files, unless it is the plugin itself."""

    def get_request_uri(self, source: JobSource, place: ContainerContext) -> str:
        """Return the address to fetch."""
        return source.uri


def deliver(
    sources: Sequence[JobSource],
    container_plugins: Mapping[str, SourceContainerPlugin],
    place: ContainerContext,
    described: Mapping[str, Sequence[str]],
) -> BatchFetch:
    """Return the transfer of `sources`: one program and one scheduler for all of them."""
    modules = {kind: str(vars(plugin)["__name__"]) for kind, plugin in container_plugins.items()}
    plugins = {kind: load_container_plugin(module, TransferContainerPlugin) for kind, module in modules.items()}
    requests = [
        origin.SourceRequest(
            uri=plugins[source.kind].get_request_uri(source, place),
            pin=source.pin,
            role=source.role,
            origin=plugins[source.kind].ORIGIN or modules[source.kind],
            credential=place.credentials.get(source.kind, ""),
            described=tuple(described.get(source.role, ())),
            way=place.credential_hints.get(source.kind, ""),
        )
        for source in sources
    ]
    return Transfer(sources, requests, list(modules.values()), place)


class TransferProcess(HelperProcess):
    """The transfer program."""

    EXIT_ERROR = JobFailed


class Transfer:
    """The transfer of several sources. `modules` are imported modules whose packages the program has to find."""

    def __init__(
        self,
        sources: Sequence[JobSource],
        requests: Sequence[origin.SourceRequest],
        modules: Sequence[str],
        place: ContainerContext,
    ) -> None:
        self._sources = sources
        self._requests = requests
        self._modules = modules
        self._place = place
        self._process: TransferProcess | None = None
        self._scratch: ScratchFolder | None = None
        self._progress: Callable[[Download], None] = lambda download: None
        self._close_lock = threading.Lock()
        self._closed = False
        self._kills = failure.count_oom_kills()

    def survey(self) -> Sequence[SurveyedSource]:
        """Survey each source, in their order. Raise JobFailed if the program cannot run, or write to the cache."""
        self._scratch = scratch = self._make_scratch()
        request = origin.TransferRequest(
            sources=self._requests,
            cache=str(self._place.cache),
            scratch=str(scratch.path),
            download_mib=self._place.download_mib,
            patience=TIMEOUTS,
        )
        try:
            with self._close_lock:
                self._start_process()
            answers = self._send_request(origin.SURVEY, dataclasses.asdict(request))
        except BaseException:
            self.close()
            raise
        return [_parse_survey_answer(source, answer) for source, answer in zip(self._sources, answers, strict=True)]

    def fetch(self, progress: Callable[[Download], None]) -> Mapping[JobSource, Path]:
        """Fetch; return the folder of each source, complete, verified and locked until `close`. Raise JobFailed."""
        self._progress = progress
        try:
            folders = self._send_request(origin.FETCH, {})
        except BaseException:
            self.close()
            raise
        return dict(zip(self._sources, map(Path, folders), strict=True))

    def close(self) -> None:
        """Stop the program; what it has fetched so far stays for the next try."""
        with self._close_lock:
            self._closed = True
            if self._process is not None:
                self._process.close()
            if self._scratch is not None:
                self._scratch.close()

    def _start_process(self) -> None:
        if self._place.python is None:
            raise JobFailed("there is no environment to fetch data in")
        if self._closed:
            raise JobFailed("the transfer was stopped before it started")
        command, environ = [str(self._place.python), "-m", MODULE], program.make_process_env(self._modules)
        try:
            self._process = TransferProcess(command, environ, self._place.log_line, self._take_event)
        except OSError as error:
            raise JobFailed(f"{self._place.python} cannot be run: {error.strerror}") from error

    def _take_event(self, record: EventRecord) -> None:
        if isinstance(record.event, Download):
            self._progress(record.event)

    def _send_request(self, name: str, body: Mapping[str, Any]) -> Sequence[Any]:
        assert self._process is not None
        try:
            answer = self._process.send_request(name, body, lambda: False)
        except JobFailed as ended:
            memory = failure.count_oom_kills() > self._kills
            fault: Fault = "out_of_memory" if memory else failure.classify_error(ended.reason)
            raise JobFailed(ended.reason, fault=fault) from None
        if "reason" in answer:
            raise JobFailed(answer["reason"], fault=answer["fault"])
        sources: Sequence[Any] = answer["sources"]
        return sources

    def _make_scratch(self) -> ScratchFolder:
        try:
            return ScratchFolder(self._place.cache)
        except OSError as error:
            cause = errors.make_fetch_error(error, self._place.cache)
            raise JobFailed(str(cause), fault=cause.fault) from error


def _parse_survey_answer(source: JobSource, answer: Mapping[str, Any]) -> SurveyedSource:
    return SurveyedSource(
        source=source,
        problems=tuple(answer["wrong"]),
        fault=answer["fault"],
        files=answer["files"],
        size=answer["size"],
        missing=answer["missing"],
        digest=answer["digest"],
        description_folder=Path(answer["described"]) if answer["described"] else None,
    )
