"""The transfer in the container: a carrier that starts the transfer program in the data environment.

A container plugin that names this module as its `CARRIER` opens its sources there (`OriginModule`), or names the module
that does in `ORIGIN`. It may define `get_request_uri(source, place)`: the address to open instead of the source's own.
"""

import fcntl
import os
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from robotrain_runtime.contract import child_python, failure
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
from robotrain_runtime.contract.finding import read_findings
from robotrain_runtime.contract.plugin_loader import load_container_plugin
from robotrain_runtime.data_environment import ENVIRONMENT
from robotrain_runtime.process.stop import wait_or_kill

from robotrain_sources.fetching import errors, program
from robotrain_sources.transfer import origin

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


MODULE = "robotrain_sources.transfer"
STOP_SECONDS = 2.0
REMEMBERED_LINES = 200


class TransferProcess:
    """The transfer program. `modules` are imported modules whose packages it has to find as well."""

    def __init__(self, place: ContainerContext, modules: Sequence[str]) -> None:
        self._place = place
        self._modules = modules
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._last_lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._kills = 0

    def start(self, request_line: str) -> None:
        """Start the program and send its request. Raise JobFailed."""
        if self._place.python is None:
            raise JobFailed("there is no environment to fetch data in")
        if self._stopped:
            raise JobFailed("the transfer was stopped before it started")
        self._kills = failure.count_oom_kills()
        try:
            self._process = subprocess.Popen(
                [str(self._place.python), "-m", MODULE],
                cwd=child_python.NEUTRAL_FOLDER,
                env=program.make_process_env(self._modules),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise JobFailed(f"{self._place.python} cannot be run: {error.strerror}") from error
        self.send_line(request_line)

    def send_line(self, line: str) -> None:
        """Send a line to the program."""
        with suppress(OSError, ValueError):  # it has ended: `wait_for_answer` reports why
            stdin = self._get_pipe("stdin")
            stdin.write(line + "\n")
            stdin.flush()

    def wait_for_answer(self, *names: str, progress: Callable[[Any], None] = lambda _: None) -> tuple[str, Any]:
        """Return the next answer with one of `names`; log ordinary lines. Raise JobFailed if the program ends first."""
        for line in map(str.rstrip, self._read_lines()):
            if answer := origin.parse_answer(line):
                if answer[0] in names:
                    return answer
                if answer[0] == "progress":
                    progress(answer[1])
            elif line:
                self._last_lines.append(line)
                self._place.log_line(line)
        code = self._process.wait() if self._process else 0
        failed = failure.diagnose_exit(code, [*self._last_lines], failure.count_oom_kills() > self._kills)
        raise JobFailed(f"{MODULE} ended with {code}: {failed.reason}", fault=failed.fault, cause=failed.cause)

    def stop(self) -> None:
        """Stop the program if it runs."""
        self._stopped = True
        if self._process is None:
            return
        with suppress(OSError, ValueError):
            self._get_pipe("stdin").close()  # the end of its input ends the program
        wait_or_kill(self._process, STOP_SECONDS)
        self._get_pipe("stdout").close()

    def _read_lines(self) -> Iterator[str]:
        with suppress(ValueError):  # `stop` closed it
            while line := self._get_pipe("stdout").readline():
                yield line

    def _get_pipe(self, name: str) -> IO[str]:
        pipe: IO[str] | None = getattr(self._process, name, None)
        if pipe is None:
            raise ValueError("the program is not started")
        return pipe


__all__ = ["ENVIRONMENT", "deliver"]

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
            needed=tuple(place.needed_files.get(source, ())),
        )
        for source in sources
    ]
    return Transfer(sources, requests, TransferProcess(place, list(modules.values())), place)


class Transfer:
    """The transfer of several sources."""

    def __init__(
        self,
        sources: Sequence[JobSource],
        requests: Sequence[origin.SourceRequest],
        process: TransferProcess,
        place: ContainerContext,
    ) -> None:
        self._sources = sources
        self._requests = requests
        self._place = place
        self._process = process
        self._scratch: ScratchFolder | None = None
        self._close_lock = threading.Lock()

    def survey(self) -> Sequence[SurveyedSource]:
        """Survey each source, in their order. Raise JobFailed if the program cannot run, or write to the cache."""
        try:
            self._scratch = scratch = ScratchFolder(self._place.cache)
        except OSError as error:
            cause = errors.make_fetch_error(error, self._place.cache)
            raise JobFailed(str(cause), fault=cause.fault) from error
        request = origin.TransferRequest(
            sources=self._requests,
            cache=str(self._place.cache),
            scratch=str(scratch.path),
            download_mib=self._place.download_mib,
            patience=TIMEOUTS,
        )
        try:
            self._process.start(origin.dump_request(request))
            answers = self._wait_for_answer("surveyed")
        except BaseException:
            self.close()
            raise
        return [_parse_survey_answer(source, answer) for source, answer in zip(self._sources, answers, strict=True)]

    def fetch(self, progress: Callable[[Download], None]) -> Mapping[JobSource, Path]:
        """Fetch; return the folder of each source, complete, verified and locked until `close`. Raise JobFailed."""

        def report_progress(answer: Sequence[float]) -> None:
            progress(Download(done=int(answer[0]), total=int(answer[1]), rate=answer[2]))

        try:
            self._process.send_line(origin.GO)
            folders = self._wait_for_answer("delivered", report_progress)
        except BaseException:
            self.close()
            raise
        return dict(zip(self._sources, map(Path, folders), strict=True))

    def close(self) -> None:
        """Stop the program; what it has fetched so far stays for the next try."""
        with self._close_lock:
            self._process.stop()
            if self._scratch is not None:
                self._scratch.close()

    def _wait_for_answer(self, expected: str, progress: Callable[[Any], None] = lambda _: None) -> Any:
        name, content = self._process.wait_for_answer(expected, "failed", progress=progress)
        if name == "failed":
            raise JobFailed(content["reason"], fault=content["fault"])
        return content


def _parse_survey_answer(source: JobSource, answer: Mapping[str, Any]) -> SurveyedSource:
    return SurveyedSource(
        source=source,
        problems=read_findings(answer["wrong"]),
        fault=answer["fault"],
        files=answer["files"],
        size=answer["size"],
        missing=answer["missing"],
        digest=answer["digest"],
        description_folder=Path(answer["described"]) if answer["described"] else None,
    )
