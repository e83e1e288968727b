"""The environment of one run: built in the background, and the variables its programs start with."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import robotrain_runtime
from robotrain_runtime.contract import failure, plugin_loader
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import StageEvent
from robotrain_runtime.contract.failure import EXIT_REFUSED, JobFailed
from robotrain_runtime.contract.plugin_loader import make_tracking_environ
from robotrain_runtime.environments import environment, uv
from robotrain_runtime.process import child
from robotrain_runtime.process.event_relay import EventRelay
from robotrain_runtime.process.stop import StopSignal

ERROR_PREFIX = "error: "
REMEMBERED_LINES = 50


class EnvironmentBuild:
    """The environment on its way, from `begin` on. ready: called with its folder as soon as it is there, in a thread.

    failure: why that came to nothing. What waits elsewhere is then ended: it raises StopRequested, without a signal.
    """

    def __init__(
        self, document: JobDocument, relay: EventRelay, stop: StopSignal, ready: Callable[[Path], None]
    ) -> None:
        self.failure: Exception | None = None
        self._required = plugin_loader.get_job_environment(document)
        self._placement = document.placement
        self._relay = relay
        self._stop = stop
        self._ready = ready
        self._built: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None
        self._last_lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._closing = False

    @property
    def is_started(self) -> bool:
        """Whether there was anything to build, and it was started."""
        return self._process is not None

    def start(self) -> None:
        """Start building, when there is something to build."""
        self._built = self._find_existing()
        if self._built is not None:
            return
        self._relay.emit(StageEvent(name="environment", state="started"))
        self._process = subprocess.Popen(
            self._make_command(self._required),
            env=_make_build_environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._watcher = child.start_reader(self._watch_process, self._process, time.monotonic())

    def wait(self) -> Path:
        """Its folder, or its interpreter, once it is there; after `begin`. Raises JobFailed, StopRequested."""
        if self._watcher is not None:
            with self._stop.interruptible():
                self._watcher.join()
        if self.failure is not None:
            raise self.failure
        assert self._built is not None
        return self._built

    def close(self) -> None:
        """End it when it still goes on, and wait until it has."""
        if self._process is None or self._watcher is None:
            return
        self._closing = True
        if self._process.poll() is None:
            self._process.terminate()
        self._watcher.join(child.get_grace_seconds())
        if self._process.poll() is None:
            self._process.kill()
        self._watcher.join(child.LAST_OUTPUT_SECONDS)

    def _find_existing(self) -> Path | None:
        """What was given, or was built before."""
        if self._placement.environment is not None:
            return Path(self._placement.environment)
        wanted, cache = self._required, Path(self._placement.cache)
        return environment.find_environment(wanted.lock, wanted.python, cache, self._placement.torch_backend)

    def _make_command(self, required: PythonEnvironment) -> list[str]:
        placed = ("--cache", self._placement.cache, "--python", required.python, "--gib", f"{required.gib:g}")
        backend = ("--torch-backend", self._placement.torch_backend) if self._placement.torch_backend else ()
        return [sys.executable, "-m", "robotrain_runtime", "environment", str(required.lock), *placed, *backend]

    def _watch_process(self, process: "subprocess.Popen[bytes]", began: float) -> None:
        """Its output to the end, in a thread of its own."""
        answers: deque[str] = deque(maxlen=1)
        assert process.stdout is not None
        assert process.stderr is not None
        said = child.start_reader(child.forward_lines, process.stderr, self._take_line, self._relay.forward)
        child.forward_lines(process.stdout, answers.append, self._relay.forward)
        code = process.wait()
        said.join(child.LAST_OUTPUT_SECONDS)
        took = round(time.monotonic() - began, 3)
        if code == 0 and answers and not self._closing:
            self._finish(Path(answers[0]), took)
        else:
            self._relay.emit(StageEvent(name="environment", state="failed", seconds=took))
            self._report_failure(self._explain_exit(code))

    def _finish(self, built: Path, took: float) -> None:
        self._relay.emit(
            StageEvent(name="environment", state="done", seconds=took, detail=environment.read_remark(built))
        )
        self._built = built
        try:
            self._ready(built)
        except Exception as error:  # it is this thread that it would end
            self._report_failure(error)

    def _report_failure(self, why: Exception) -> None:
        self.failure = why
        if not self._closing:
            self._stop.interrupt()

    def _take_line(self, line: str) -> None:
        self._last_lines.append(line)
        if not line.startswith(ERROR_PREFIX):
            self._relay.log.write_line(line)

    def _explain_exit(self, code: int) -> JobFailed:
        last = self._last_lines[-1] if self._last_lines else f"its process ended with {code}"
        said = next((line.removeprefix(ERROR_PREFIX) for line in self._last_lines if line.startswith(ERROR_PREFIX)), "")
        sentence = said or f"the environment could not be built: {last}"
        fault = uv.classify_uv_error(sentence) or failure.classify_error(sentence)
        return JobFailed(sentence, fault="stopped" if -code in (signal.SIGTERM, signal.SIGINT) else fault)


def _make_build_environ() -> dict[str, str]:
    """This process's, with the runtime to import from, and nothing from the folder it happens to run in."""
    root = Path(str(robotrain_runtime.__file__)).parents[1]
    return {**os.environ, "PYTHONPATH": str(root), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


def get_run_python(document: JobDocument, log_line: Callable[[str], None], stop: StopSignal) -> Path:
    """The interpreter of the run's environment, which is built when it is not there. Raises JobFailed, StopRequested."""
    placement = document.placement
    if placement.environment is not None:
        return environment.get_python(Path(placement.environment))
    wanted, cache = plugin_loader.get_job_environment(document), Path(placement.cache)
    built = environment.build_environment(wanted.lock, wanted.python, cache, log_line, stop, placement.torch_backend)
    return environment.get_python(built)


def make_program_environ(document: JobDocument, added: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """This process's names without those of another Python, and those that our own programs need."""
    kept = {name: value for name, value in os.environ.items() if name not in uv.PYTHON_VARIABLES}
    path = os.pathsep.join(plugin_loader.list_import_folders(document))
    found = uv.find_uv(Path(document.placement.cache))
    own = {
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": path,
        **({"UV": str(found)} if found else {}),
        **make_tracking_environ(document),
    }
    return {**kept, **own, **added}


def check_promised_variables(promised: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> None:
    """Raises JobFailed with a sentence for each name that is not as it was promised."""
    if wrong := list(find_broken_promises(promised, environ)):
        raise JobFailed("; ".join(wrong), EXIT_REFUSED, "configuration")


def find_broken_promises(promised: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each name that is missing or says something else; values are not repeated, they may be long."""
    for name, said in sorted(promised.items()):
        there = environ.get(name)
        if there is None:
            yield (
                f"{name} is not set in the environment, and the job document promises it with {len(said)} characters"
            )
        elif not _is_same_value(there, said):
            yield (
                f"{name} says something else in the environment than in the job document:"
                f" {len(there)} characters there, {len(said)} here, alike up to character {_count_common_prefix(there, said)}"
            )


def _is_same_value(first: str, second: str) -> bool:
    """Texts that are both JSON are the same when they mean the same."""
    if first == second:
        return True
    try:
        return _normalize_json(json.loads(first)) == _normalize_json(json.loads(second))
    except (ValueError, RecursionError):
        return False


def _normalize_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)  # as a text, for Python takes 1, 1.0 and true for the same


def _count_common_prefix(first: str, second: str) -> int:
    """How many characters both begin with."""
    return next(
        (at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
