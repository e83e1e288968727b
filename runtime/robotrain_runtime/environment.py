"""The locked Python environment: built once for each lock, shared by runs, complete or not there at all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from robotrain_runtime import child, interpreter, locking, torch_build, uv
from robotrain_runtime.failure import Failed
from robotrain_runtime.stop import Stop

MARKER = "robotrain-complete.json"
TOLD_LINES = 6
FOREIGN = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT", "UV_SYSTEM_PYTHON")
OVERRIDING = ("UV_TORCH_BACKEND", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_REQUIRE_HASHES")
"""What would make uv install something else than it is told to."""
EXACTLY = ("--no-deps", "--require-hashes", "-r")

Say = Callable[[str], None]


def folder(lock: Path, cache: Path, torch_backend: str | None = None) -> Path:
    """Where the environment of `lock` lies, built or not; each build of PyTorch has its own."""
    content = lock.read_bytes()
    if torch_backend and torch_build.split(content.decode()):
        content += f"\n# torch-backend {torch_build.key(torch_backend)}\n".encode()
    return cache / "environments" / hashlib.sha256(content).hexdigest()[:16]


def complete(built: Path) -> bool:
    """Whether the environment was built to its end."""
    return (built / MARKER).is_file() and python_of(built).exists()


def python_of(environment: Path) -> Path:
    """The interpreter of an environment, given as its folder or as the interpreter itself."""
    return environment if environment.is_file() else environment / "bin" / "python"


def remark(built: Path) -> str:
    """What in it is not pinned by hash, as a sentence without a full stop; empty when everything is."""
    try:
        return str(json.loads((built / MARKER).read_text(encoding="utf-8")).get("remark", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def build(lock: Path, version: str, cache: Path, say: Say, stop: Stop, torch_backend: str | None = None) -> Path:
    """The environment's folder, built when it is not there. Safe to call from two processes. Raises Failed, Stopped.

    torch_backend: which build of PyTorch it gets in place of the locked one; None for the locked one.
    """
    built = folder(lock, cache, torch_backend)
    if not complete(built):
        with locking.held(built.with_suffix(".lock"), stop, lambda: say(f"another run is building {built}: waiting")):
            if not complete(built):
                _build(built, lock, version, cache, say, stop, torch_backend)
    if said := remark(built):
        say(said)
    return built


def _build(built: Path, lock: Path, version: str, cache: Path, say: Say, stop: Stop, torch_backend: str | None) -> None:
    python = interpreter.find(version)
    if python is None:
        raise Failed(f"there is no Python {version} on this machine to build the environment with")
    if built.exists():
        say(f"{built} was left incomplete: building it again")
        shutil.rmtree(built)
    for left in built.parent.glob(f".{built.name}.*"):  # of builders that were killed; their uv may still be at it
        shutil.rmtree(left, ignore_errors=True)
    tool = uv.obtain(cache, stop)
    say(f"building the environment {built} with {python}")
    scratch = built.with_name(f".{built.name}.{os.urandom(4).hex()}")
    try:
        _uv([tool, "venv", "--quiet", "--relocatable", "--python", python, scratch], say, stop)
        facts = _install([tool, "pip", "install", "--python", python_of(scratch)], lock, torch_backend, say, stop)
        (scratch / MARKER).write_text(json.dumps({"lock": lock.name, "python": str(python), **facts}) + "\n")
        os.rename(scratch, built)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _install(
    pip: Sequence[str | Path], lock: Path, torch_backend: str | None, say: Say, stop: Stop
) -> dict[str, object]:
    """Install the lock, and another build of PyTorch when one is asked for; what is worth keeping of that."""
    split = torch_build.split(lock.read_text(encoding="utf-8")) if torch_backend else None
    if torch_backend is None or split is None:
        _uv([*pip, *EXACTLY, lock], say, stop)
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        kept, versions = Path(scratch, "kept.txt"), Path(scratch, "versions.txt")
        kept.write_text(split.kept, encoding="utf-8")
        versions.write_text(split.versions, encoding="utf-8")
        _uv([*pip, *EXACTLY, kept], say, stop)
        how = ("--no-build", "--torch-backend", torch_backend, "--constraints", versions)
        unpinned = _uv([*pip, *how, *split.asked], say, stop)
    said = torch_build.remark(split.asked, unpinned, torch_backend)
    return {"torch_backend": torch_backend, "unpinned": unpinned, "remark": said}


def _uv(command: Sequence[str | Path], say: Say, stop: Stop) -> list[str]:
    """Run uv; the packages it says it installed. Raises Failed, Stopped."""
    told: deque[str] = deque(maxlen=TOLD_LINES)
    installed = []

    def heard(line: str) -> None:
        told.append(line)
        if line.lstrip().startswith("+ "):  # a hundred names of packages that are all in the lock
            installed.append(line.lstrip().removeprefix("+ "))
        else:
            say(line)

    environ = {name: value for name, value in os.environ.items() if name not in (*FOREIGN, *OVERRIDING)}
    arguments = [str(part) for part in command]
    code = child.run(arguments, environ=environ, stop=stop, on_line=heard, on_event=lambda record: None)
    if code:
        raise Failed("the environment could not be built; uv said: " + " / ".join(told))
    return installed
