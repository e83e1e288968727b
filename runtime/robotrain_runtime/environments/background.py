"""The run's environment, built beside everything else: a process of its own, whose lines are the run's."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import robotrain_runtime
from robotrain_runtime import child, faults, halves
from robotrain_runtime.document import JobDocument
from robotrain_runtime.environments import environment, uv_faults
from robotrain_runtime.event import Stage
from robotrain_runtime.failure import Failed
from robotrain_runtime.half import Environment
from robotrain_runtime.relay import Relay
from robotrain_runtime.stop import Stop

ERROR = "error: "
REMEMBERED_LINES = 50


class Background:
    """The environment on its way, from `begin` on. ready: called with its folder as soon as it is there, in a thread.

    failure: why that came to nothing. What waits elsewhere is then ended: it raises Stopped, without a signal.
    """

    def __init__(self, document: JobDocument, relay: Relay, stop: Stop, ready: Callable[[Path], None]) -> None:
        self.failure: Exception | None = None
        self._wanted = halves.environment_of(document)
        self._placement = document.placement
        self._relay = relay
        self._stop = stop
        self._ready = ready
        self._built: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None
        self._told: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._closing = False

    @property
    def begun(self) -> bool:
        """Whether there was anything to build, and it was started."""
        return self._process is not None

    def begin(self) -> None:
        """Start building, when there is something to build."""
        self._built = self._there()
        if self._built is not None:
            return
        self._relay.emit(Stage(name="environment", state="started"))
        self._process = subprocess.Popen(
            self._command(self._wanted),
            env=_environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._watcher = child.reader(self._watch, self._process, time.monotonic())

    def wait(self) -> Path:
        """Its folder, or its interpreter, once it is there; after `begin`. Raises Failed, Stopped."""
        if self._watcher is not None:
            with self._stop.armed():
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
        self._watcher.join(child.grace())
        if self._process.poll() is None:
            self._process.kill()
        self._watcher.join(child.LAST_OUTPUT_SECONDS)

    def _there(self) -> Path | None:
        """What was given, or was built before."""
        if self._placement.environment is not None:
            return Path(self._placement.environment)
        wanted, cache = self._wanted, Path(self._placement.cache)
        return environment.found(wanted.lock, wanted.python, cache, self._placement.torch_backend)

    def _command(self, wanted: Environment) -> list[str]:
        placed = ("--cache", self._placement.cache, "--python", wanted.python, "--gib", f"{wanted.gib:g}")
        backend = ("--torch-backend", self._placement.torch_backend) if self._placement.torch_backend else ()
        return [sys.executable, "-m", "robotrain_runtime", "environment", str(wanted.lock), *placed, *backend]

    def _watch(self, process: "subprocess.Popen[bytes]", began: float) -> None:
        """Its output to the end, in a thread of its own."""
        answers: deque[str] = deque(maxlen=1)
        assert process.stdout is not None
        assert process.stderr is not None
        said = child.reader(child.lines_to, process.stderr, self._hear, self._relay.take)
        child.lines_to(process.stdout, answers.append, self._relay.take)
        code = process.wait()
        said.join(child.LAST_OUTPUT_SECONDS)
        took = round(time.monotonic() - began, 3)
        if code == 0 and answers and not self._closing:
            self._is_built(Path(answers[0]), took)
        else:
            self._relay.emit(Stage(name="environment", state="failed", seconds=took))
            self._fail(self._why(code))

    def _is_built(self, built: Path, took: float) -> None:
        self._relay.emit(Stage(name="environment", state="done", seconds=took, detail=environment.remark(built)))
        self._built = built
        try:
            self._ready(built)
        except Exception as error:  # it is this thread that it would end
            self._fail(error)

    def _fail(self, why: Exception) -> None:
        self.failure = why
        if not self._closing:
            self._stop.end()

    def _hear(self, line: str) -> None:
        self._told.append(line)
        if not line.startswith(ERROR):
            self._relay.log.line(line)

    def _why(self, code: int) -> Failed:
        last = self._told[-1] if self._told else f"its process ended with {code}"
        said = next((line.removeprefix(ERROR) for line in self._told if line.startswith(ERROR)), "")
        sentence = said or f"the environment could not be built: {last}"
        fault = uv_faults.of(sentence) or faults.of_text(sentence)
        return Failed(sentence, fault="stopped" if -code in (signal.SIGTERM, signal.SIGINT) else fault)


def _environ() -> dict[str, str]:
    """This process's, with the runtime to import from, and nothing from the folder it happens to run in."""
    root = Path(str(robotrain_runtime.__file__)).parents[1]
    return {**os.environ, "PYTHONPATH": str(root), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
