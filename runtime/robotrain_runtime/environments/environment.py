"""The locked Python environment: built once for each lock, shared by runs, complete or absent.

One that the image holds is taken as it is; so is the image's torch, when it is the locked version.
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

from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.environments import interpreter, torch_build, uv
from robotrain_runtime.process import child
from robotrain_runtime.process import stop as process_stop
from robotrain_runtime.process.stop import StopSignal

MARKER = "robotrain-complete.json"
START_SECONDS = 60.0
"""Seconds: from a cold disk a Python takes its time, and one that is there must not be built again for that."""


def get_python(environment: Path) -> Path:
    """The interpreter of an environment, given as its folder or as the interpreter itself."""
    return environment if environment.is_file() else environment / "bin" / "python"


def is_complete(built: Path) -> bool:
    """Whether the environment was built to its end, and runs here: an image may lack the Python it was built with."""
    if not (built / MARKER).is_file():
        return False
    runs, kept = interpreter.get_python_version(get_python(built), START_SECONDS), _read_marker(built).get("version")
    return bool(runs) and kept in (None, runs)


def read_remark(built: Path) -> str:
    """What in it is not pinned by hash, as a sentence without a full stop; empty when everything is."""
    return str(_read_marker(built).get("remark", ""))


def write_marker(built: Path, facts: Mapping[str, object]) -> None:
    """Say that it is complete, and what is worth keeping of how it was built. Raises OSError."""
    kept = {**facts, "version": interpreter.get_python_version(get_python(built))}
    (built / MARKER).write_text(json.dumps(kept) + "\n", encoding="utf-8")


def _read_marker(built: Path) -> Mapping[str, Any]:
    try:
        facts = json.loads((built / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


LOCKED_FLAGS = ("--no-deps", "--require-hashes", "-r")

BuildLogFunction = Callable[[str], None]
PipCommand = Sequence[str | Path]


class ImageTorchUnusable(Exception):
    """The image's torch does not work in the new environment. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRecipe:
    """What an environment is built from. python: the interpreter. torch_backend: another build of PyTorch than the
    locked one; taken: the image's instead.
    """

    lock: Path
    python: Path
    torch_backend: str | None = None
    image_torch: torch_build.ImageTorch | None = None


def make_environment(
    place: Path, recipe: EnvironmentRecipe, cache: Path, log_line: BuildLogFunction, stop: StopSignal
) -> None:
    """Build it at `place`, in one step for everyone who looks there. Raises JobFailed, StopRequested, ImageTorchUnusable, OSError."""
    try:
        if place.exists():
            log_line(f"{place} was left incomplete: building it again")
            shutil.rmtree(place)
        for left in place.parent.glob(f".{place.name}.*"):  # of builders that were killed; their uv may still be at it
            shutil.rmtree(left, ignore_errors=True)
        _make_in_scratch(place, recipe, uv.obtain_uv(cache, stop), log_line, stop)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise JobFailed(f"the disk of {place.parent} is full: {error.strerror}", fault="disk_full") from error


def _make_in_scratch(
    place: Path, recipe: EnvironmentRecipe, tool: Path, log_line: BuildLogFunction, stop: StopSignal
) -> None:
    log_line(f"building the environment {place} with {recipe.python}")
    scratch = place.with_name(f".{place.name}.{os.urandom(4).hex()}")
    try:
        uv.run_uv([tool, "venv", "--quiet", "--relocatable", "--python", recipe.python, scratch], log_line, stop)
        facts = _install_lock(
            [tool, "pip", "install", "--python", get_python(scratch)], recipe, scratch, log_line, stop
        )
        write_marker(scratch, {"lock": recipe.lock.name, "python": str(recipe.python), **facts})
        os.rename(scratch, place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _install_lock(
    pip: PipCommand, recipe: EnvironmentRecipe, scratch: Path, log_line: BuildLogFunction, stop: StopSignal
) -> dict[str, object]:
    """Everything that is in the lock, from there or in its place; what is worth keeping of that."""
    split = torch_build.split_lock(recipe.lock.read_text(encoding="utf-8"))
    if split and recipe.image_torch:
        return _link_image_torch(pip, split, recipe.image_torch, scratch, log_line, stop)
    if split and recipe.torch_backend:
        return _install_other_torch(pip, split, recipe.torch_backend, log_line, stop)
    uv.run_uv([*pip, *LOCKED_FLAGS, recipe.lock], log_line, stop)
    return {}


def _install_other_torch(
    pip: PipCommand, split: torch_build.SplitLock, backend: str, log_line: BuildLogFunction, stop: StopSignal
) -> dict[str, object]:
    """The lock, with another build of PyTorch at the locked version."""
    _install_without_torch(pip, split, log_line, stop)
    with tempfile.TemporaryDirectory() as scratch:
        versions = Path(scratch, "versions.txt")
        versions.write_text(split.versions, encoding="utf-8")
        how = ("--no-build", "--torch-backend", backend, "--constraints", versions)
        unpinned = uv.run_uv([*pip, *how, *split.torch_pins], log_line, stop)
    said = torch_build.describe_unpinned(split.torch_pins, unpinned, backend)
    return {"torch_backend": backend, "unpinned": unpinned, "remark": said}


def _link_image_torch(
    pip: PipCommand,
    split: torch_build.SplitLock,
    torch: torch_build.ImageTorch,
    scratch: Path,
    log_line: BuildLogFunction,
    stop: StopSignal,
) -> dict[str, object]:
    """The lock, with links to the image's torch, which must be importable then."""
    _install_without_torch(pip, split, log_line, stop)
    torch.link(next(scratch.glob("lib/python*/site-packages")))
    told: list[str] = []
    command = [str(get_python(scratch)), "-c", torch_build.IMPORT_PROBE, *split.locked_torch_pins]
    if child.run_program(
        command, environ=uv.make_uv_environ(), stop=stop, on_line=told.append, on_event=lambda record: None
    ):
        raise ImageTorchUnusable(told[-1] if told else "Python died of it")
    return {
        "torch_of": str(torch.python),
        "unpinned": list(torch.pins),
        "remark": f"{torch.description}: not pinned by hash",
    }


def _install_without_torch(
    pip: PipCommand, split: torch_build.SplitLock, log_line: BuildLogFunction, stop: StopSignal
) -> None:
    """The lock without torch and what it alone needs."""
    if not split.other_pins:
        return
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch, "kept.txt")
        kept.write_text(split.other_pins, encoding="utf-8")
        uv.run_uv([*pip, *LOCKED_FLAGS, kept], log_line, stop)


LogFunction = Callable[[str], None]


def get_environment_folder(lock: Path, cache: Path, torch_backend: str | None = None) -> Path:
    """Where the environment of `lock` is built; each build of PyTorch has its own."""
    return _get_folder(cache, _make_name(lock, torch_backend))


def find_environment(lock: Path, python: str, cache: Path, torch_backend: str | None = None) -> Path | None:
    """The environment of `lock`, where it is there already: in the cache, or in the image. None: it must be built.

    python: as in `half.Environment`.
    """
    if there := _find_complete(cache, _make_name(lock, torch_backend)):
        return there
    if torch_backend is None and (taken := torch_build.find_image_torch(lock, python)):
        return _find_complete(cache, _make_name(lock, variant=taken.key)) or _find_built_for_image(lock, python, cache)
    return _find_built_for_image(lock, python, cache, torch_backend)


def build_environment(
    lock: Path, version: str, cache: Path, log_line: LogFunction, stop: StopSignal, torch_backend: str | None = None
) -> Path:
    """The environment's folder, built when it is not there. Safe to call from two processes. Raises JobFailed, StopRequested.

    version: of Python, as in `half.Environment`. torch_backend: which build of PyTorch it gets in place of the locked
    one; None for the locked one.
    """
    there = find_environment(lock, version, cache, torch_backend)
    if there is None and torch_backend is None and (taken := torch_build.find_image_torch(lock, version)):
        there = _build_with_image_torch(taken, lock, cache, log_line, stop)
    if there is None:
        there = _build_as_locked(lock, version, cache, log_line, stop, torch_backend)
    if said := read_remark(there):
        log_line(said)
    return there


def _build_with_image_torch(
    torch: torch_build.ImageTorch, lock: Path, cache: Path, log_line: LogFunction, stop: StopSignal
) -> Path | None:
    """The environment with the image's torch; None when that does not work in it."""
    recipe = EnvironmentRecipe(lock=lock, python=torch.python, image_torch=torch)
    try:
        return _make_once(_get_folder(cache, _make_name(lock, variant=torch.key)), recipe, cache, log_line, stop)
    except ImageTorchUnusable as unfit:
        log_line(f"{torch.description} does not work here, so the locked one is installed: {unfit}")
        return None


def _build_as_locked(
    lock: Path, version: str, cache: Path, log_line: LogFunction, stop: StopSignal, torch_backend: str | None
) -> Path:
    python = interpreter.find_interpreter(version)
    if python is None:
        raise JobFailed(f"there is no Python {version} on this machine to build the environment with")
    target = get_environment_folder(lock, cache, torch_backend)
    if (target / MARKER).is_file() and not is_complete(target):
        target = _get_folder(cache, _make_name(lock, torch_backend, f"python {python}"))
    return _make_once(
        target, EnvironmentRecipe(lock=lock, python=python, torch_backend=torch_backend), cache, log_line, stop
    )


def _make_once(built: Path, recipe: EnvironmentRecipe, cache: Path, log_line: LogFunction, stop: StopSignal) -> Path:
    with process_stop.hold_lock(
        built.with_suffix(".lock"), stop, lambda: log_line(f"another run is building {built}: waiting")
    ):
        if not is_complete(built):
            make_environment(built, recipe, cache, log_line, stop)
    return built


def _find_built_for_image(lock: Path, python: str, cache: Path, torch_backend: str | None = None) -> Path | None:
    """Where the cache is shared by images: the one that another could not run was left to it, and this was built."""
    if (
        not (get_environment_folder(lock, cache, torch_backend) / MARKER).is_file()
        or (here := interpreter.find_interpreter(python)) is None
    ):
        return None
    return _find_complete(cache, _make_name(lock, torch_backend, f"python {here}"))


def _find_complete(cache: Path, name: str) -> Path | None:
    return next(
        (path for path in (_get_folder(cache, name), _get_folder(uv.get_image_folder(), name)) if is_complete(path)),
        None,
    )


def _get_folder(cache: Path, name: str) -> Path:
    return cache / "environments" / name


def _make_name(lock: Path, torch_backend: str | None = None, variant: str = "") -> str:
    """of: what sets it apart from the environment that is all as locked."""
    content = lock.read_bytes()
    if torch_backend and torch_build.split_lock(content.decode()):
        content += f"\n# torch-backend {torch_build.get_backend_key(torch_backend)}\n".encode()
    if variant:
        content += f"\n# {variant}\n".encode()
    return hashlib.sha256(content).hexdigest()[:16]
