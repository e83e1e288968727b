"""The locked Python environment: built once for each lock, shared by runs, complete or not there at all.

One that the image holds is taken as it is; so is the image's torch, when it is the locked version.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from robotrain_runtime import locking
from robotrain_runtime.environments import baked, image_torch, interpreter, torch_build
from robotrain_runtime.environments.building import Recipe, Unfit, make
from robotrain_runtime.environments.built import MARKER, complete, python_of, remark
from robotrain_runtime.environments.uv_run import FOREIGN
from robotrain_runtime.failure import Failed
from robotrain_runtime.stop import Stop

__all__ = ["FOREIGN", "MARKER", "build", "complete", "folder", "found", "python_of", "remark"]

Say = Callable[[str], None]


def folder(lock: Path, cache: Path, torch_backend: str | None = None) -> Path:
    """Where the environment of `lock` is built; each build of PyTorch has its own."""
    return _at(cache, _name(lock, torch_backend))


def found(lock: Path, python: str, cache: Path, torch_backend: str | None = None) -> Path | None:
    """The environment of `lock`, where it is there already: in the cache, or in the image. None: it must be built.

    python: as in `half.Environment`.
    """
    if there := _ready(cache, _name(lock, torch_backend)):
        return there
    if torch_backend is None and (taken := image_torch.find(lock, python)):
        return _ready(cache, _name(lock, of=taken.key)) or _own(lock, python, cache)
    return _own(lock, python, cache, torch_backend)


def build(lock: Path, version: str, cache: Path, say: Say, stop: Stop, torch_backend: str | None = None) -> Path:
    """The environment's folder, built when it is not there. Safe to call from two processes. Raises Failed, Stopped.

    version: of Python, as in `half.Environment`. torch_backend: which build of PyTorch it gets in place of the locked
    one; None for the locked one.
    """
    there = found(lock, version, cache, torch_backend)
    if there is None and torch_backend is None and (taken := image_torch.find(lock, version)):
        there = _with(taken, lock, cache, say, stop)
    if there is None:
        there = _locked(lock, version, cache, say, stop, torch_backend)
    if said := remark(there):
        say(said)
    return there


def _with(taken: image_torch.Taken, lock: Path, cache: Path, say: Say, stop: Stop) -> Path | None:
    """The environment with the image's torch; None when that does not work in it."""
    recipe = Recipe(lock=lock, python=taken.python, taken=taken)
    try:
        return _made(_at(cache, _name(lock, of=taken.key)), recipe, cache, say, stop)
    except Unfit as unfit:
        say(f"{taken.said} does not work here, so the locked one is installed: {unfit}")
        return None


def _locked(lock: Path, version: str, cache: Path, say: Say, stop: Stop, torch_backend: str | None) -> Path:
    python = interpreter.find(version)
    if python is None:
        raise Failed(f"there is no Python {version} on this machine to build the environment with")
    target = folder(lock, cache, torch_backend)
    if (target / MARKER).is_file() and not complete(target):
        target = _at(cache, _name(lock, torch_backend, f"python {python}"))
    return _made(target, Recipe(lock=lock, python=python, torch_backend=torch_backend), cache, say, stop)


def _made(built: Path, recipe: Recipe, cache: Path, say: Say, stop: Stop) -> Path:
    with locking.held(built.with_suffix(".lock"), stop, lambda: say(f"another run is building {built}: waiting")):
        if not complete(built):
            make(built, recipe, cache, say, stop)
    return built


def _own(lock: Path, python: str, cache: Path, torch_backend: str | None = None) -> Path | None:
    """Where the cache is shared by images: the one that another could not run was left to it, and this was built."""
    if not (folder(lock, cache, torch_backend) / MARKER).is_file() or (here := interpreter.find(python)) is None:
        return None
    return _ready(cache, _name(lock, torch_backend, f"python {here}"))


def _ready(cache: Path, name: str) -> Path | None:
    return next((path for path in (_at(cache, name), _at(baked.place(), name)) if complete(path)), None)


def _at(cache: Path, name: str) -> Path:
    return cache / "environments" / name


def _name(lock: Path, torch_backend: str | None = None, of: str = "") -> str:
    """of: what sets it apart from the environment that is all as locked."""
    content = lock.read_bytes()
    if torch_backend and torch_build.split(content.decode()):
        content += f"\n# torch-backend {torch_build.key(torch_backend)}\n".encode()
    if of:
        content += f"\n# {of}\n".encode()
    return hashlib.sha256(content).hexdigest()[:16]
