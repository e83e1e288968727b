"""Locked Python environments: built once per lock file, shared by runs, complete or absent.

An environment in the image is used as it is, and so is the image's torch if it has the locked version.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import files
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.environments import interpreter, torch_build, uv
from robotrain_runtime.process import child
from robotrain_runtime.process.stop import StopSignal

MARKER = "robotrain-complete.json"
START_SECONDS = 60.0
"""From a cold disk Python starts slowly: that is no reason to build the environment again."""


def get_python(environment: Path) -> Path:
    """Return the interpreter of an environment that is given as its folder or as the interpreter itself."""
    return environment if environment.is_file() else environment / "bin" / "python"


def is_complete(built: Path) -> bool:
    """Whether the environment is complete and runs: the image may lack the Python that it was built with."""
    if not (built / MARKER).is_file():
        return False
    version = interpreter.get_python_version(get_python(built), START_SECONDS)
    return bool(version) and _read_marker(built).get("version") in (None, version)


def read_remark(built: Path) -> str:
    """Return what is not pinned by hash, as a sentence without a full stop; empty if everything is."""
    return str(_read_marker(built).get("remark", ""))


def write_marker(built: Path, facts: Mapping[str, object]) -> None:
    """Mark an environment as complete, with facts about its build. Raise OSError."""
    facts = {**facts, "version": interpreter.get_python_version(get_python(built))}
    (built / MARKER).write_text(json.dumps(facts) + "\n", encoding="utf-8")


def _read_marker(built: Path) -> Mapping[str, Any]:
    try:
        facts = json.loads((built / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


LOCKED_FLAGS = ("--no-deps", "--require-hashes", "-r")

LogFunction = Callable[[str], None]
PipCommand = Sequence[str | Path]


class ImageTorchUnusable(Exception):
    """The image's torch does not work in the new environment; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRecipe:
    """What an environment is built from."""

    lock: Path
    python: Path
    """The interpreter."""
    torch_backend: str | None = None
    """The build of PyTorch in place of the locked one."""
    image_torch: torch_build.ImageTorch | None = None
    """The image's PyTorch in place of the locked one."""


def make_environment(
    place: Path, recipe: EnvironmentRecipe, cache: Path, log_line: LogFunction, stop: StopSignal
) -> None:
    """Build an environment at `place`, atomically. Raise JobFailed, StopRequested, ImageTorchUnusable or OSError."""
    try:
        if place.exists():
            log_line(f"{place} is incomplete: building it again")
            shutil.rmtree(place)
        for leftover in place.parent.glob(f".{place.name}.*"):  # of killed builders, whose uv may still be running
            shutil.rmtree(leftover, ignore_errors=True)
        _make_in_scratch(place, recipe, uv.find_uv(cache) or uv.fetch_uv(cache, stop), log_line, stop)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise JobFailed(f"the disk of {place.parent} is full: {error.strerror}", fault="disk_full") from error


def _make_in_scratch(
    place: Path, recipe: EnvironmentRecipe, tool: Path, log_line: LogFunction, stop: StopSignal
) -> None:
    log_line(f"building the environment {place} with {recipe.python}")
    scratch = place.with_name(f".{place.name}.{os.urandom(4).hex()}")
    try:
        uv.run_uv([tool, "venv", "--quiet", "--relocatable", "--python", recipe.python, scratch], log_line, stop)
        pip: PipCommand = [tool, "pip", "install", "--python", get_python(scratch)]
        facts = _install_lock(pip, recipe, scratch, log_line, stop)
        write_marker(scratch, {"lock": recipe.lock.name, "python": str(recipe.python), **facts})
        os.rename(scratch, place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _install_lock(
    pip: PipCommand, recipe: EnvironmentRecipe, scratch: Path, log_line: LogFunction, stop: StopSignal
) -> dict[str, object]:
    """Install the lock, with another torch if the recipe says so. Return the facts for the marker."""
    split = torch_build.split_lock(recipe.lock.read_text(encoding="utf-8"))
    if split and recipe.image_torch:
        return _link_image_torch(pip, split, recipe.image_torch, scratch, log_line, stop)
    if split and recipe.torch_backend:
        return _install_other_torch(pip, split, recipe.torch_backend, log_line, stop)
    uv.run_uv([*pip, *LOCKED_FLAGS, recipe.lock], log_line, stop)
    return {}


def _install_other_torch(
    pip: PipCommand, split: torch_build.SplitLock, backend: str, log_line: LogFunction, stop: StopSignal
) -> dict[str, object]:
    """Install the lock with another build of PyTorch at the locked version."""
    _install_without_torch(pip, split, log_line, stop)
    with tempfile.TemporaryDirectory() as scratch:
        versions = Path(scratch, "versions.txt")
        versions.write_text(split.versions, encoding="utf-8")
        options = ("--no-build", "--torch-backend", backend, "--constraints", versions)
        unpinned = uv.run_uv([*pip, *options, *split.torch_pins], log_line, stop)
    remark = torch_build.describe_unpinned(split.torch_pins, unpinned, backend)
    return {"torch_backend": backend, "unpinned": unpinned, "remark": remark}


def _link_image_torch(
    pip: PipCommand,
    split: torch_build.SplitLock,
    torch: torch_build.ImageTorch,
    scratch: Path,
    log_line: LogFunction,
    stop: StopSignal,
) -> dict[str, object]:
    """Install the lock with links to the image's torch. Raise ImageTorchUnusable if it cannot be imported then."""
    _install_without_torch(pip, split, log_line, stop)
    torch.link(next(scratch.glob("lib/python*/site-packages")))
    output: list[str] = []
    command = [str(get_python(scratch)), "-c", torch_build.IMPORT_PROBE, *split.locked_torch_pins]
    if child.run_program(command, environ=uv.make_uv_environ(), stop=stop, on_line=output.append):
        raise ImageTorchUnusable(output[-1] if output else "Python crashed")
    remark = f"{torch.description}: not pinned by hash"
    return {"torch_of": str(torch.python), "unpinned": list(torch.pins), "remark": remark}


def _install_without_torch(
    pip: PipCommand, split: torch_build.SplitLock, log_line: LogFunction, stop: StopSignal
) -> None:
    """Install the lock without torch and the packages that only torch needs."""
    if not split.other_pins:
        return
    with tempfile.TemporaryDirectory() as scratch:
        lock = Path(scratch, "kept.txt")
        lock.write_text(split.other_pins, encoding="utf-8")
        uv.run_uv([*pip, *LOCKED_FLAGS, lock], log_line, stop)


def build_python(
    required: PythonEnvironment, cache: Path, log_line: LogFunction, stop: StopSignal, torch_backend: str | None = None
) -> Path:
    """Return the interpreter of a required environment, as `build_environment` does."""
    return get_python(build_environment(required.lock, required.python, cache, log_line, stop, torch_backend))


def get_environment_folder(lock: Path, cache: Path, torch_backend: str | None = None) -> Path:
    """Return the folder of the environment of `lock`; each build of PyTorch has its own."""
    return _get_folder(cache, _make_name(lock, torch_backend))


def find_environment(lock: Path, python: str, cache: Path, torch_backend: str | None = None) -> Path | None:
    """Return the environment of `lock` from the cache or the image; None if it must be built.

    `python` is a version or a range, as in `PythonEnvironment`.
    """
    if built := _find_complete(cache, _make_name(lock, torch_backend)):
        return built
    if torch_backend is None and (torch := torch_build.find_image_torch(lock, python)):
        return _find_complete(cache, _make_name(lock, variant=torch.key)) or _find_built_for_image(lock, python, cache)
    return _find_built_for_image(lock, python, cache, torch_backend)


def build_environment(
    lock: Path, version: str, cache: Path, log_line: LogFunction, stop: StopSignal, torch_backend: str | None = None
) -> Path:
    """Return the folder of an environment; build it if necessary. Raise JobFailed or StopRequested.

    Two processes may call it at once. `version` is that of Python, as in `PythonEnvironment`; `torch_backend` is the
    build of PyTorch to install in place of the locked one.
    """
    built = find_environment(lock, version, cache, torch_backend)
    if built is None and torch_backend is None and (torch := torch_build.find_image_torch(lock, version)):
        built = _build_with_image_torch(torch, lock, cache, log_line, stop)
    if built is None:
        built = _build_as_locked(lock, version, cache, log_line, stop, torch_backend)
    if remark := read_remark(built):
        log_line(remark)
    return built


def _build_with_image_torch(
    torch: torch_build.ImageTorch, lock: Path, cache: Path, log_line: LogFunction, stop: StopSignal
) -> Path | None:
    """Build the environment with the image's torch; return None if that torch does not work in it."""
    recipe = EnvironmentRecipe(lock=lock, python=torch.python, image_torch=torch)
    try:
        return _make_once(_get_folder(cache, _make_name(lock, variant=torch.key)), recipe, cache, log_line, stop)
    except ImageTorchUnusable as error:
        log_line(f"{torch.description} does not work here, so the locked one is installed: {error}")
        return None


def _build_as_locked(
    lock: Path, version: str, cache: Path, log_line: LogFunction, stop: StopSignal, torch_backend: str | None
) -> Path:
    python = interpreter.find_interpreter(version)
    if python is None:
        raise JobFailed(f"Python {version} is missing on this machine: the environment cannot be built")
    target = get_environment_folder(lock, cache, torch_backend)
    if (target / MARKER).is_file() and not is_complete(target):
        target = _get_folder(cache, _make_name(lock, torch_backend, f"python {python}"))
    return _make_once(
        target, EnvironmentRecipe(lock=lock, python=python, torch_backend=torch_backend), cache, log_line, stop
    )


def _make_once(built: Path, recipe: EnvironmentRecipe, cache: Path, log_line: LogFunction, stop: StopSignal) -> Path:
    with files.hold_lock(
        built.with_suffix(".lock"),
        lambda: log_line(f"another run is building {built}: waiting"),
        waiting=stop.interruptible(),
    ):
        if not is_complete(built):
            make_environment(built, recipe, cache, log_line, stop)
    return built


def _find_built_for_image(lock: Path, python: str, cache: Path, torch_backend: str | None = None) -> Path | None:
    """Return the environment that was built for this image because another image's one does not run here."""
    if not (get_environment_folder(lock, cache, torch_backend) / MARKER).is_file():
        return None
    own = interpreter.find_interpreter(python)
    return _find_complete(cache, _make_name(lock, torch_backend, f"python {own}")) if own else None


def _find_complete(cache: Path, name: str) -> Path | None:
    folders = (_get_folder(cache, name), _get_folder(uv.get_image_folder(), name))
    return next(filter(is_complete, folders), None)


def _get_folder(cache: Path, name: str) -> Path:
    return cache / "environments" / name


def _make_name(lock: Path, torch_backend: str | None = None, variant: str = "") -> str:
    """Return the name of an environment; `variant` is what differs from the one that is fully locked."""
    content = lock.read_bytes()
    if torch_backend and torch_build.split_lock(content.decode()):
        content += f"\n# torch-backend {torch_build.get_backend_key(torch_backend)}\n".encode()
    if variant:
        content += f"\n# {variant}\n".encode()
    return hashlib.sha256(content).hexdigest()[:16]
