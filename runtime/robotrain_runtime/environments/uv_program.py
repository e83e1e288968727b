"""The program uv, which builds environments: how it is found, installed and run, and what its failures mean.

The image may hold a folder of the same layout as the cache. Runs never write to it.
"""

import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from robotrain_runtime.contract import child_python, failure, files
from robotrain_runtime.contract.child_python import NEUTRAL_FOLDER
from robotrain_runtime.contract.event import Fault
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.environments import interpreter
from robotrain_runtime.process import child
from robotrain_runtime.process.stop import StopSignal

IMAGE_FOLDER_VARIABLE = "ROBOTRAIN_BAKED"
IMAGE_FOLDER = Path("/opt/robotrain")


def get_image_folder() -> Path:
    """Return the image's folder of environments and uv, which may not exist; `ROBOTRAIN_BAKED` overrides it."""
    override = os.environ.get(IMAGE_FOLDER_VARIABLE)
    return Path(override).expanduser() if override else IMAGE_FOLDER


REFUSED_PATTERN = r"status client error \(4(?!08|29)\d\d|Hash mismatch"
NETWORK_PATTERN = (
    r"Failed to fetch|error sending request|dns error|tcp connect error|error decoding response|response body error"
    r"|unexpected end of file|HTTP status server error|Max retries exceeded|NewConnectionError"
)


def classify_uv_error(message: str) -> Fault:
    """Return the fault of an error message of uv or pip; a request that a server refused is not a network fault."""
    if re.search(REFUSED_PATTERN, message):
        return ""
    return failure.classify_error(message) or ("network" if re.search(NETWORK_PATTERN, message) else "")


REMEMBERED_UV_LINES = 12
PYTHON_VARIABLES = child_python.FOREIGN_VARIABLES | {
    "UV_PROJECT_ENVIRONMENT",
    "UV_SYSTEM_PYTHON",
    interpreter.STARTED_VARIABLE,
}
PLACE_VARIABLES = ("UV_PROJECT", "UV_WORKING_DIR")
"""Variables that let uv read the configuration of another folder than that in which it starts."""
UV_VARIABLES = ("UV_TORCH_BACKEND", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_REQUIRE_HASHES")
"""Variables that change what uv installs."""
FAULT_TEXTS = {"disk_full": "the disk is full", "network": "packages could not be fetched"}

LogFunction = Callable[[str], None]


def run_uv(command: Sequence[str | Path], log_line: LogFunction, stop: StopSignal) -> list[str]:
    """Run uv outside of any project; return the packages that it installed. Raise JobFailed or StopRequested.

    The user's and the system's uv.toml apply, that of a folder never does.
    """
    output: deque[str] = deque(maxlen=REMEMBERED_UV_LINES)
    installed_packages = []

    def take_line(line: str) -> None:
        output.append(line.strip())
        if line.lstrip().startswith("+ "):  # one line per package, all of them in the lock: not logged
            installed_packages.append(line.lstrip().removeprefix("+ "))
        else:
            log_line(f"uv: {line}" if line.startswith("error") else line)  # robotrain's own error follows

    arguments = [str(part.absolute() if isinstance(part, Path) else part) for part in command]
    environ = make_uv_environ()
    if code := child.run_program(arguments, environ=environ, stop=stop, on_line=take_line, folder=NEUTRAL_FOLDER):
        output_lines = [output_line for output_line in output if output_line]
        first_index = next(
            (index for index, output_line in enumerate(output_lines) if output_line.startswith(("error", "×"))), 0
        )
        message = " / ".join(output_line.removeprefix("error: ") for output_line in output_lines[first_index:])
        message = message or f"nothing, and exited with {code}"
        fault = classify_uv_error(message)
        reason = f": {FAULT_TEXTS[fault]}" if fault in FAULT_TEXTS else ""
        raise JobFailed(f"the environment could not be built{reason}; uv reported: {message}", fault=fault)
    return installed_packages


def make_uv_environ() -> dict[str, str]:
    """Return the environment variables without those that select another Python, other packages or a project."""
    removed_variables = {*PYTHON_VARIABLES, *UV_VARIABLES, *PLACE_VARIABLES}
    return {name: variable_value for name, variable_value in os.environ.items() if name not in removed_variables}


UV_LOCK = Path(__file__).with_name("uv.txt")
REMEMBERED_PIP_LINES = 20
PIP_FLAGS = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:")
PIP_PROBE = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)"


def find_uv(cache: Path) -> Path | None:
    """Return a uv of this machine: that of `UV`, on PATH, beside this Python, fetched earlier, or in the image."""
    fetched = (_get_fetched_folder(folder) / "bin" / "uv" for folder in (cache, get_image_folder()))
    paths = (os.environ.get("UV"), shutil.which("uv"), interpreter.get_started_interpreter().with_name("uv"), *fetched)
    return next((Path(path).absolute() for path in paths if path and os.access(path, os.X_OK)), None)


def find_python_with_pip() -> Path | None:
    """Return a Python that has pip, to fetch uv with."""
    on_path = map(shutil.which, ("python3", "python3.12", "python3.11", "python"))
    pythons = (str(interpreter.get_started_interpreter()), f"{sys.base_prefix}/bin/python3", *filter(None, on_path))
    return next((Path(python) for python in pythons if _has_pip(python)), None)


def get_uv_version() -> str:
    """Return the version of uv that is fetched."""
    match = re.search(r"^uv==([\w.]+)", UV_LOCK.read_text(), re.MULTILINE)
    assert match is not None
    return match[1]


def fetch_uv(cache: Path, stop: StopSignal) -> Path:
    """Fetch uv with pip into the cache, unless it is there; return its path. Raise JobFailed or StopRequested."""
    target = _get_fetched_folder(cache)
    path = target / "bin" / "uv"
    with files.hold_lock(target.with_name(target.name + ".lock"), waiting=stop.interruptible):
        if os.access(path, os.X_OK):
            return path
        python = find_python_with_pip()
        if python is None:
            raise JobFailed("uv is missing, and so is pip to fetch it with: install uv (https://docs.astral.sh/uv)")
        output = deque[str](maxlen=REMEMBERED_PIP_LINES)
        with files.make_atomically(target, replace=True) as fetched:
            words = ("-m", "pip", "install", *PIP_FLAGS, "--target", fetched.absolute(), "-r", UV_LOCK.absolute())
            command = child_python.make_isolated_command(python.absolute(), *words)
            if child.run_program(command, environ=os.environ, stop=stop, on_line=output.append, folder=NEUTRAL_FOLDER):
                reason = output[-1] if output else "no reason given"
                fault = classify_uv_error("\n".join(output))
                raise JobFailed(f"uv {get_uv_version()} could not be fetched with pip: {reason}", fault=fault)
    return path


def _get_fetched_folder(cache: Path) -> Path:
    return cache / "uv" / get_uv_version()


def _has_pip(python: str) -> bool:
    try:
        command = child_python.make_isolated_command(os.path.abspath(python), "-c", PIP_PROBE)
        return subprocess.run(command, cwd=NEUTRAL_FOLDER, capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
