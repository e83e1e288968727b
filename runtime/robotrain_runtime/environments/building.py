"""Building an environment with uv, beside the place where it will lie: what has that name is whole."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime import child
from robotrain_runtime.environments import built, image_torch, torch_build, uv, uv_run
from robotrain_runtime.failure import Failed
from robotrain_runtime.stop import Stop

EXACTLY = ("--no-deps", "--require-hashes", "-r")

Say = Callable[[str], None]
Pip = Sequence[str | Path]


class Unfit(Exception):
    """The image's torch does not work in the new environment. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an environment is built from. python: the interpreter. torch_backend: another build of PyTorch than the
    locked one; taken: the image's instead.
    """

    lock: Path
    python: Path
    torch_backend: str | None = None
    taken: image_torch.Taken | None = None


def make(place: Path, recipe: Recipe, cache: Path, say: Say, stop: Stop) -> None:
    """Build it at `place`, in one step for everyone who looks there. Raises Failed, Stopped, Unfit, OSError."""
    try:
        if place.exists():
            say(f"{place} was left incomplete: building it again")
            shutil.rmtree(place)
        for left in place.parent.glob(f".{place.name}.*"):  # of builders that were killed; their uv may still be at it
            shutil.rmtree(left, ignore_errors=True)
        _make(place, recipe, uv.obtain(cache, stop), say, stop)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Failed(f"the disk of {place.parent} is full: {error.strerror}", fault="disk_full") from error


def _make(place: Path, recipe: Recipe, tool: Path, say: Say, stop: Stop) -> None:
    say(f"building the environment {place} with {recipe.python}")
    scratch = place.with_name(f".{place.name}.{os.urandom(4).hex()}")
    try:
        uv_run.run([tool, "venv", "--quiet", "--relocatable", "--python", recipe.python, scratch], say, stop)
        facts = _install([tool, "pip", "install", "--python", built.python_of(scratch)], recipe, scratch, say, stop)
        built.mark(scratch, {"lock": recipe.lock.name, "python": str(recipe.python), **facts})
        os.rename(scratch, place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _install(pip: Pip, recipe: Recipe, scratch: Path, say: Say, stop: Stop) -> dict[str, object]:
    """Everything that is in the lock, from there or in its place; what is worth keeping of that."""
    split = torch_build.split(recipe.lock.read_text(encoding="utf-8"))
    if split and recipe.taken:
        return _link(pip, split, recipe.taken, scratch, say, stop)
    if split and recipe.torch_backend:
        return _rebuilt(pip, split, recipe.torch_backend, say, stop)
    uv_run.run([*pip, *EXACTLY, recipe.lock], say, stop)
    return {}


def _rebuilt(pip: Pip, split: torch_build.Split, backend: str, say: Say, stop: Stop) -> dict[str, object]:
    """The lock, with another build of PyTorch at the locked version."""
    _keep(pip, split, say, stop)
    with tempfile.TemporaryDirectory() as scratch:
        versions = Path(scratch, "versions.txt")
        versions.write_text(split.versions, encoding="utf-8")
        how = ("--no-build", "--torch-backend", backend, "--constraints", versions)
        unpinned = uv_run.run([*pip, *how, *split.asked], say, stop)
    said = torch_build.remark(split.asked, unpinned, backend)
    return {"torch_backend": backend, "unpinned": unpinned, "remark": said}


def _link(
    pip: Pip, split: torch_build.Split, taken: image_torch.Taken, scratch: Path, say: Say, stop: Stop
) -> dict[str, object]:
    """The lock, with links to the image's torch, which must be importable then."""
    _keep(pip, split, say, stop)
    taken.link(next(scratch.glob("lib/python*/site-packages")))
    told: list[str] = []
    command = [str(built.python_of(scratch)), "-c", image_torch.TRY, *split.locked]
    if child.run(command, environ=uv_run.environ(), stop=stop, on_line=told.append, on_event=lambda record: None):
        raise Unfit(told[-1] if told else "Python died of it")
    return {"torch_of": str(taken.python), "unpinned": list(taken.pins), "remark": f"{taken.said}: not pinned by hash"}


def _keep(pip: Pip, split: torch_build.Split, say: Say, stop: Stop) -> None:
    """The lock without torch and what it alone needs."""
    if not split.kept:
        return
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch, "kept.txt")
        kept.write_text(split.kept, encoding="utf-8")
        uv_run.run([*pip, *EXACTLY, kept], say, stop)
