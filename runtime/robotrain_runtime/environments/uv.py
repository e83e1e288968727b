"""uv, which builds environments: found, fetched with pip, run, and its failures classified.

It has the shape of a cache folder, and nothing is ever written there by a run: layers of an image may be read-only.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from robotrain_runtime.contract import failure
from robotrain_runtime.contract.event import Fault
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.process import child
from robotrain_runtime.process.stop import StopSignal

IMAGE_FOLDER_VARIABLE = "ROBOTRAIN_BAKED"
IMAGE_FOLDER = Path("/opt/robotrain")


def get_image_folder() -> Path:
    """The folder of the image that holds it, there or not; `ROBOTRAIN_BAKED` names another."""
    said = os.environ.get(IMAGE_FOLDER_VARIABLE)
    return Path(said).expanduser() if said else IMAGE_FOLDER


REFUSED_PATTERN = r"status client error \(4(?!08|29)\d\d|Hash mismatch"
NETWORK_PATTERN = (
    r"Failed to fetch|error sending request|dns error|tcp connect error|error decoding response|response body error"
    r"|unexpected end of file|HTTP status server error|Max retries exceeded|NewConnectionError"
)


def classify_uv_error(words: str) -> Fault:
    """`disk_full`, `network`, or nothing: a server that answered with no is not the network's fault."""
    if re.search(REFUSED_PATTERN, words):
        return ""
    return failure.classify_error(words) or ("network" if re.search(NETWORK_PATTERN, words) else "")


REMEMBERED_UV_LINES = 12
PYTHON_VARIABLES = (
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_PROJECT_ENVIRONMENT",
    "UV_SYSTEM_PYTHON",
)
UV_VARIABLES = ("UV_TORCH_BACKEND", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_REQUIRE_HASHES")
"""What would make uv install something else than it is told to."""
FAULT_TEXTS = {"disk_full": "the disk is full", "network": "packages could not be fetched"}

LogFunction = Callable[[str], None]


def run_uv(command: Sequence[str | Path], log_line: LogFunction, stop: StopSignal) -> list[str]:
    """The packages it says it installed. Raises JobFailed, StopRequested."""
    told: deque[str] = deque(maxlen=REMEMBERED_UV_LINES)
    installed = []

    def heard(line: str) -> None:
        told.append(line.strip())
        if line.lstrip().startswith("+ "):  # a hundred names of packages that are all in the lock
            installed.append(line.lstrip().removeprefix("+ "))
        else:
            log_line(f"uv: {line}" if line.startswith("error") else line)  # whose error it is: ours comes after it

    arguments = [str(part) for part in command]
    code = child.run_program(
        arguments, environ=make_uv_environ(), stop=stop, on_line=heard, on_event=lambda record: None
    )
    if code:
        words = _extract_error(told) or f"nothing, and ended with {code}"
        fault = classify_uv_error(words)
        why = f": {FAULT_TEXTS[fault]}" if fault in FAULT_TEXTS else ""
        raise JobFailed(f"the environment could not be built{why}; uv said: {words}", fault=fault)
    return installed


def _extract_error(output: Iterable[str]) -> str:
    """From its error on; all that it said last, when it named none."""
    lines = [line for line in output if line]
    first = next((index for index, line in enumerate(lines) if line.startswith(("error", "×"))), 0)
    return " / ".join(line.removeprefix("error: ") for line in lines[first:])


def make_uv_environ() -> dict[str, str]:
    """This process's names, without those that would lead a program to another Python or uv to other packages."""
    return {name: value for name, value in os.environ.items() if name not in (*PYTHON_VARIABLES, *UV_VARIABLES)}


UV_LOCK = Path(__file__).with_name("uv.txt")
REMEMBERED_PIP_LINES = 20
PIP_PROBE = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)"


def find_uv(cache: Path) -> Path | None:
    """A uv that is on this machine: the one we run under, on PATH, beside our Python, fetched earlier, in the image."""
    named = os.environ.get("UV")
    fetched = (_get_fetched_folder(folder) / "bin" / "uv" for folder in (cache, get_image_folder()))
    places = (named, shutil.which("uv"), Path(sys.executable).with_name("uv"), *fetched)
    return next((Path(place) for place in places if place and os.access(place, os.X_OK)), None)


def find_python_with_pip() -> Path | None:
    """A Python that has pip and can fetch uv."""
    return next((python for python in _list_pythons() if _has_pip(python)), None)


def obtain_uv(cache: Path, stop: StopSignal) -> Path:
    """uv, fetched with pip when it is not here. Raises JobFailed, StopRequested."""
    return find_uv(cache) or _fetch_uv(cache, stop)


def get_uv_version() -> str:
    """The version that would be fetched."""
    found = re.search(r"^uv==([\w.]+)", UV_LOCK.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def _fetch_uv(cache: Path, stop: StopSignal) -> Path:
    python, target = find_python_with_pip(), _get_fetched_folder(cache)
    if python is None:
        raise JobFailed("there is no uv here, and no pip to fetch it with: install uv (https://docs.astral.sh/uv)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made, told = Path(scratch, "uv"), deque[str](maxlen=REMEMBERED_PIP_LINES)
        flags = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:")
        command = [str(python), "-m", "pip", "install", *flags, "--target", str(made), "-r", str(UV_LOCK)]
        code = child.run_program(
            command, environ=os.environ, stop=stop, on_line=told.append, on_event=lambda record: None
        )
        if code:
            words = "\n".join(told)
            last = told[-1] if told else "no reason given"
            raise JobFailed(
                f"uv {get_uv_version()} could not be fetched with pip: {last}", fault=classify_uv_error(words)
            )
        _install_fetched(made, target)
    return target / "bin" / "uv"


def _install_fetched(fetched: Path, target: Path) -> None:
    """In one step, so that nobody finds half of it; one that another run put there meanwhile is as good."""
    if target.exists() and not (target / "bin" / "uv").exists():
        shutil.rmtree(target)
    try:
        os.replace(fetched, target)
    except OSError:
        if not (target / "bin" / "uv").exists():
            raise


def _get_fetched_folder(cache: Path) -> Path:
    return cache / "uv" / get_uv_version()


def _list_pythons() -> Iterator[Path]:
    yield Path(sys.executable)
    yield Path(sys.base_prefix, "bin", "python3")
    for name in ("python3", "python3.12", "python3.11", "python"):
        if found := shutil.which(name):
            yield Path(found)


def _has_pip(python: Path) -> bool:
    try:
        return subprocess.run([str(python), "-c", PIP_PROBE], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
