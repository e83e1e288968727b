"""The environments of one run: their builds in the background, and the environment variables of its programs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import robotrain_runtime
from robotrain_runtime.contract import child_python, failure, plugin_loader
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import JobDocument, Placement
from robotrain_runtime.contract.event import StageEvent
from robotrain_runtime.contract.failure import ERROR_PREFIX, EXIT_REFUSED, JobFailed
from robotrain_runtime.contract.plugin_loader import make_tracking_environ
from robotrain_runtime.environments import environment, uv_program
from robotrain_runtime.process import child
from robotrain_runtime.process.event_relay import EventRelay
from robotrain_runtime.process.stop import StopSignal, stop_process

REMEMBERED_LINES = 50


class BackgroundBuild:
    """The build of an environment in the background: that of the run, or of its program.

    `on_ready` is called with its folder, in a thread. If the build fails, waits elsewhere are ended: they raise
    StopRequested, without a signal.
    """

    def __init__(
        self,
        required: PythonEnvironment,
        placement: Placement,
        relay: EventRelay,
        stop: StopSignal,
        on_ready: Callable[[Path], object],
    ) -> None:
        self.failure: Exception | None = None
        """Why the build failed, or what else in the background did."""
        self._required = required
        self._placement = placement
        self._relay = relay
        self._stop = stop
        self._on_ready = on_ready
        self._built: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None
        self._last_lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._closing = False

    @property
    def is_started(self) -> bool:
        """Whether a build was necessary, and was started."""
        return self._process is not None

    def start(self) -> None:
        """Start the build if it is necessary."""
        python_environment = self._required
        if self._placement.environment is not None:
            self._built = Path(self._placement.environment)
        else:
            cache = Path(self._placement.cache)
            backend = self._placement.torch_backend
            self._built = environment.find_environment(
                python_environment.lock, python_environment.python, cache, backend
            )
        if self._built is not None:
            return
        self._relay.emit(StageEvent(name="environment", state="started"))
        placement = self._placement
        root = Path(str(robotrain_runtime.__file__)).parents[1]
        command = [sys.executable, "-m", "robotrain_runtime", "environment", os.path.abspath(python_environment.lock)]
        command += ["--cache", os.path.abspath(placement.cache), "--python", python_environment.python]
        command += ["--gib", f"{python_environment.gib:g}"]
        command += ["--torch-backend", placement.torch_backend] if placement.torch_backend else []
        self._process = subprocess.Popen(
            command,
            cwd=child_python.NEUTRAL_FOLDER,
            env=child_python.make_import_environ([root]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._watcher = child.start_reader(self._watch_process, self._process, time.monotonic())

    def wait(self) -> Path:
        """Wait for the build; return the environment's folder or interpreter. Raise JobFailed or StopRequested."""
        if self._watcher is not None:
            with self._stop.interruptible():
                self._watcher.join()
        if self.failure is not None:
            raise self.failure
        assert self._built is not None
        return self._built

    def close(self) -> None:
        """End the build if it is still running, and wait for its end."""
        if self._process is None or self._watcher is None:
            return
        self._closing = True
        stop_process(self._process, child.get_grace_seconds())
        self._watcher.join(child.LAST_OUTPUT_SECONDS)

    def _watch_process(self, process: subprocess.Popen[bytes], began: float) -> None:
        """Read the build's output to its end, in a thread."""
        answers: deque[str] = deque(maxlen=1)
        assert process.stdout is not None
        assert process.stderr is not None
        stderr_reader = child.start_reader(child.forward_lines, process.stderr, self._take_line, self._relay.forward)
        child.forward_lines(process.stdout, answers.append, self._relay.forward)
        code = process.wait()
        stderr_reader.join(child.LAST_OUTPUT_SECONDS)
        seconds = round(time.monotonic() - began, 3)
        if code or not answers or self._closing:
            self._relay.emit(StageEvent(name="environment", state="failed", seconds=seconds))
            last_lines = list(self._last_lines)
            errors = [
                output_line.removeprefix(ERROR_PREFIX)
                for output_line in last_lines
                if output_line.startswith(ERROR_PREFIX)
            ]
            last_line = last_lines[-1] if last_lines else f"its process exited with {code}"
            sentence = errors[0] if errors else f"the environment could not be built: {last_line}"
            fault = uv_program.classify_uv_error(sentence) or failure.classify_error(sentence)
            stopped = -code in (signal.SIGTERM, signal.SIGINT)
            self.report_failure(JobFailed(sentence, fault="stopped" if stopped else fault))
            return
        self._built = environment_folder = Path(answers[0])
        remark = environment.read_remark(environment_folder)
        self._relay.emit(StageEvent(name="environment", state="done", seconds=seconds, detail=remark))
        try:
            self._on_ready(environment_folder)
        except Exception as error:  # it would only end this thread
            self.report_failure(error)

    def report_failure(self, error: Exception) -> None:
        """End waits elsewhere, for this reason."""
        self.failure = error
        if not self._closing:
            self._stop.interrupt()

    def _take_line(self, line: str) -> None:
        self._last_lines.append(line)
        if not line.startswith(ERROR_PREFIX):
            self._relay.write_line(line)


def get_run_python(document: JobDocument, log_line: Callable[[str], None], stop: StopSignal) -> Path:
    """Return the interpreter of the run's environment; build it if necessary. Raise JobFailed or StopRequested."""
    placement = plugin_loader.get_run_placement(document)
    if placement.environment is not None:
        return environment.get_python(Path(placement.environment))
    python_environment = plugin_loader.get_job_environment(document)
    cache = Path(placement.cache)
    return environment.build_python(python_environment, cache, log_line, stop, placement.torch_backend)


def make_program_environ(
    document: JobDocument, extra_variables: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return the environment variables of the run's programs: this process's, robotrain's and `extra_variables`."""
    inherited_variables = {name: value for name, value in os.environ.items() if name not in uv_program.PYTHON_VARIABLES}
    uv_path = uv_program.find_uv(Path(document.placement.cache))
    own_variables = {**({"UV": str(uv_path)} if uv_path else {}), **make_tracking_environ(document), **extra_variables}
    return (
        child_python.make_import_environ(plugin_loader.list_import_folders(document), inherited_variables)
        | own_variables
    )


def check_promised_variables(promised: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> None:
    """Raise JobFailed if environment variables differ from what the job document promises, without their values."""
    different_names = [
        name for name, value in sorted(promised.items()) if not _is_same_value(environ.get(name, ""), value)
    ]
    if different_names:
        reason = f"the environment differs from what the job document promises: {', '.join(different_names)}"
        raise JobFailed(reason, EXIT_REFUSED, "configuration")


def _is_same_value(first: str, second: str) -> bool:
    """Whether two values are equal, as text or as JSON."""
    try:  # compared as text: in Python 1, 1.0 and True are equal
        values = [json.dumps(json.loads(text), sort_keys=True) for text in (first, second)]
    except (ValueError, RecursionError):
        return first == second
    return first == second or values[0] == values[1]
