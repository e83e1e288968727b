"""The locked Python environment: built once for each lock, shared by runs, complete or not there at all."""

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from robotrain_runtime import child, interpreter, locking, uv
from robotrain_runtime.failure import Failed
from robotrain_runtime.stop import Stop

MARKER = "robotrain-complete.json"
TOLD_LINES = 6
FOREIGN = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT", "UV_SYSTEM_PYTHON")


def folder(lock: Path, cache: Path) -> Path:
    """Where the environment of `lock` lies, built or not."""
    return cache / "environments" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]


def complete(built: Path) -> bool:
    """Whether the environment was built to its end."""
    return (built / MARKER).is_file() and python_of(built).exists()


def python_of(environment: Path) -> Path:
    """The interpreter of an environment, given as its folder or as the interpreter itself."""
    return environment if environment.is_file() else environment / "bin" / "python"


def build(lock: Path, version: str, cache: Path, say: Callable[[str], None], stop: Stop) -> Path:
    """The environment's folder, built when it is not there. Safe to call from two processes. Raises Failed, Stopped."""
    built = folder(lock, cache)
    if complete(built):
        return built
    with locking.held(built.with_suffix(".lock"), stop, lambda: say(f"another run is building {built}: waiting")):
        if not complete(built):
            _build(built, lock, version, cache, say, stop)
    return built


def _build(built: Path, lock: Path, version: str, cache: Path, say: Callable[[str], None], stop: Stop) -> None:
    python = interpreter.find(version)
    if python is None:
        raise Failed(f"there is no Python {version} on this machine to build the environment with")
    if built.exists():
        say(f"{built} was left incomplete: building it again")
        shutil.rmtree(built)
    tool = uv.obtain(cache, stop)
    say(f"building the environment {built} with {python}")
    _uv([tool, "venv", "--quiet", "--python", python, built], say, stop)
    locked = ("--no-deps", "--require-hashes", "-r", lock)
    _uv([tool, "pip", "install", "--python", python_of(built), *locked], say, stop)
    (built / MARKER).write_text(json.dumps({"lock": lock.name, "python": str(python)}) + "\n")


def _uv(command: Sequence[str | Path], say: Callable[[str], None], stop: Stop) -> None:
    told: deque[str] = deque(maxlen=TOLD_LINES)

    def heard(line: str) -> None:
        told.append(line)
        if not line.lstrip().startswith("+ "):  # a hundred names of packages that are all in the lock
            say(line)

    environ = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    arguments = [str(part) for part in command]
    code = child.run(arguments, environ=environ, stop=stop, on_line=heard, on_event=lambda record: None)
    if code:
        raise Failed("the environment could not be built; uv said: " + " / ".join(told))
