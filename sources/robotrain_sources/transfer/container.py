"""The transfer in the container: the carrier plugin, which starts the program in the data environment.

It is an entry of the cache while its lock is held, and what is left of one after a kill: the next one removes it.

A half that names this module as its `CARRIER` says in `ORIGIN` which module opens its sources there. It may have
`asked(source, place)` as well: what that module is asked for, where the printed form alone would not do.
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

from robotrain_runtime.contract import failure
from robotrain_runtime.contract.container_plugin import (
    BatchFetch,
    ContainerContext,
    SourceContainerPlugin,
    SurveyedSource,
)
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Download
from robotrain_runtime.contract.failure import JobFailed

from robotrain_sources.data_environment import ENVIRONMENT
from robotrain_sources.fetching import errors, program
from robotrain_sources.transfer import origin

SCRATCH_NAME = "transfer-scratch"


class ScratchFolder:
    """One that is made at once. path: the folder. Raises OSError."""

    def __init__(self, cache: Path) -> None:
        above = cache / "data"
        above.mkdir(parents=True, exist_ok=True)
        self._lock: IO[str] = (above / f"{SCRATCH_NAME}.lock").open("a")
        self.path = above / f".{SCRATCH_NAME}.{os.urandom(4).hex()}"
        try:
            self._share_lock(above)
            self.path.mkdir(mode=0o700)
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    def _share_lock(self, folder: Path) -> None:
        """Share the lock with all others that go on; with none, what is there was left."""
        with suppress(OSError):  # others go on, or a file system without locks: nobody can tell what was left
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in folder.glob(f".{SCRATCH_NAME}.*"):
                shutil.rmtree(left, ignore_errors=True)
        with suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            os.utime(self._lock.fileno())


MODULE = "robotrain_sources.transfer"
STOP_SECONDS = 2.0
REMEMBERED_LINES = 200


class TransferProcess:
    """One that is not started yet. modules: the imported ones whose distributions it imports from, too."""

    def __init__(self, place: ContainerContext, modules: Sequence[str]) -> None:
        self._place = place
        self._modules = modules
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._last_lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._kills = 0

    def start(self, request_line: str) -> None:
        """Start it, with its request. Raises Failed."""
        if self._place.python is None:
            raise JobFailed("there is no environment to fetch data in")
        if self._stopped:
            raise JobFailed("fetching data was ended before it began")
        self._kills = failure.count_oom_kills()
        try:
            self._process = subprocess.Popen(
                [str(self._place.python), "-m", MODULE],
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
        """One line to it."""
        with suppress(OSError, ValueError):  # it has ended: its answer, or that it gives none, tells why
            stdin = self._get_pipe("stdin")
            stdin.write(line + "\n")
            stdin.flush()

    def wait_for_answer(self, *names: str, progress: Callable[[Any], None] = lambda far: None) -> tuple[str, Any]:
        """Its next answer of one of these names; its ordinary lines are passed on. Raises Failed when it ends first."""
        for line in map(str.rstrip, self._read_lines()):
            if told := origin.parse_answer(line):
                if told[0] in names:
                    return told
                if told[0] == "progress":
                    progress(told[1])
            elif line:
                self._last_lines.append(line)
                self._place.log_line(line)
        raise self._explain_end(self._process.wait() if self._process else 0)

    def stop(self) -> None:
        """End it, if it goes on."""
        self._stopped = True
        if self._process is None:
            return
        with suppress(OSError, ValueError):
            self._get_pipe("stdin").close()  # it ends by that
        for ending in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(STOP_SECONDS)
                break
            except subprocess.TimeoutExpired:
                ending()
        self._process.wait()
        self._get_pipe("stdout").close()

    def _explain_end(self, code: int) -> JobFailed:
        last = self._last_lines[-1] if self._last_lines else ""
        fault = failure.classify_exit(code, last, self._last_lines, failure.count_oom_kills() > self._kills)
        killed = "the system killed it for want of memory" if code < 0 and fault == "out_of_memory" else ""
        return JobFailed(f"{MODULE} ended with {code}: {killed or last or 'it said nothing'}", fault=fault)

    def _read_lines(self) -> Iterator[str]:
        with suppress(ValueError):  # closed meanwhile
            while line := self._get_pipe("stdout").readline():
                yield line

    def _get_pipe(self, name: str) -> IO[str]:
        pipe = getattr(self._process, name, None)
        if pipe is None:
            raise ValueError("it is not started")
        found: IO[str] = pipe
        return found


__all__ = ["ENVIRONMENT", "deliver"]

TIMEOUTS = origin.TransferTimeouts()


def deliver(
    sources: Sequence[JobSource],
    halves: Mapping[str, SourceContainerPlugin],
    place: ContainerContext,
    described: Mapping[str, Sequence[str]],
) -> BatchFetch:
    """Bring `sources`, with one scheduler over all of them."""
    asked = [
        origin.SourceRequest(
            uri=_get_request_uri(source, halves[source.kind], place),
            pin=source.pin,
            role=source.role,
            origin=str(getattr(halves[source.kind], "ORIGIN")),  # noqa: B009
            credential=place.credentials.get(source.kind, ""),
            described=tuple(described.get(source.role, ())),
            way=place.credential_hints.get(source.kind, ""),
        )
        for source in sources
    ]
    modules = [str(getattr(half, "__name__")) for half in halves.values()]  # noqa: B009
    return Transfer(sources, asked, TransferProcess(place, modules), place)


class Transfer:
    """Sources on their way."""

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
        """What each source is, in their order. Raises Failed when the program cannot be run, or write to the cache."""
        self._scratch = scratch = self._make_scratch()
        wanted = origin.TransferRequest(
            sources=self._requests,
            cache=str(self._place.cache),
            scratch=str(scratch.path),
            download_mib=self._place.download_mib,
            patience=TIMEOUTS,
        )
        try:
            self._process.start(origin.dump_request(wanted))
            found = self._wait_for_answer("surveyed")
        except BaseException:
            self.close()
            raise
        return [_parse_survey_answer(source, told) for source, told in zip(self._sources, found, strict=True)]

    def fetch(self, progress: Callable[[Download], None]) -> Mapping[JobSource, Path]:
        """The folder of each source, complete and verified; held until `close`. Raises Failed."""

        def told(far: Sequence[float]) -> None:
            progress(Download(done=int(far[0]), total=int(far[1]), rate=far[2]))

        try:
            self._process.send_line(origin.GO)
            folders = self._wait_for_answer("delivered", told)
        except BaseException:
            self.close()
            raise
        return dict(zip(self._sources, map(Path, folders), strict=True))

    def close(self) -> None:
        """End the program; what it has fetched so far stays for the next try."""
        with self._close_lock:
            self._process.stop()
            if self._scratch is not None:
                self._scratch.close()

    def _make_scratch(self) -> ScratchFolder:
        try:
            return ScratchFolder(self._place.cache)
        except OSError as error:
            why = errors.make_fetch_error(error, self._place.cache)
            raise JobFailed(str(why), fault=why.fault) from error

    def _wait_for_answer(self, wanted: str, progress: Callable[[Any], None] = lambda far: None) -> Any:
        name, content = self._process.wait_for_answer(wanted, "failed", progress=progress)
        if name == "failed":
            raise JobFailed(content["reason"], fault=content["fault"])
        return content


def _get_request_uri(source: JobSource, half: SourceContainerPlugin, place: ContainerContext) -> str:
    asked: Callable[[JobSource, ContainerContext], str] | None = getattr(half, "asked", None)
    return asked(source, place) if asked else source.uri


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
