"""uv, which builds environments: the one that is here, else a pinned one, checked by its hash."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime import child
from robotrain_runtime.environments import baked, uv_faults
from robotrain_runtime.failure import Failed
from robotrain_runtime.stop import Stop

PINNED = Path(__file__).with_name("uv.txt")
TOLD_LINES = 20
HAS_PIP = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)"


def find(cache: Path) -> Path | None:
    """A uv that is on this machine: the one we run under, on PATH, beside our Python, fetched earlier, in the image."""
    named = os.environ.get("UV")
    fetched = (_fetched(folder) / "bin" / "uv" for folder in (cache, baked.place()))
    places = (named, shutil.which("uv"), Path(sys.executable).with_name("uv"), *fetched)
    return next((Path(place) for place in places if place and os.access(place, os.X_OK)), None)


def pip() -> Path | None:
    """A Python that has pip and can fetch uv."""
    return next((python for python in _pythons() if _has_pip(python)), None)


def obtain(cache: Path, stop: Stop) -> Path:
    """uv, fetched with pip when it is not here. Raises Failed, Stopped."""
    return find(cache) or _fetch(cache, stop)


def version() -> str:
    """The version that would be fetched."""
    found = re.search(r"^uv==([\w.]+)", PINNED.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def _fetch(cache: Path, stop: Stop) -> Path:
    python, target = pip(), _fetched(cache)
    if python is None:
        raise Failed("there is no uv here, and no pip to fetch it with: install uv (https://docs.astral.sh/uv)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made, told = Path(scratch, "uv"), deque[str](maxlen=TOLD_LINES)
        flags = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:")
        command = [str(python), "-m", "pip", "install", *flags, "--target", str(made), "-r", str(PINNED)]
        code = child.run(command, environ=os.environ, stop=stop, on_line=told.append, on_event=lambda record: None)
        if code:
            words = "\n".join(told)
            last = told[-1] if told else "no reason given"
            raise Failed(f"uv {version()} could not be fetched with pip: {last}", fault=uv_faults.of(words))
        _put(made, target)
    return target / "bin" / "uv"


def _put(made: Path, target: Path) -> None:
    """In one step, so that nobody finds half of it; one that another run put there meanwhile is as good."""
    if target.exists() and not (target / "bin" / "uv").exists():
        shutil.rmtree(target)
    try:
        os.replace(made, target)
    except OSError:
        if not (target / "bin" / "uv").exists():
            raise


def _fetched(cache: Path) -> Path:
    return cache / "uv" / version()


def _pythons() -> Iterator[Path]:
    yield Path(sys.executable)
    yield Path(sys.base_prefix, "bin", "python3")
    for name in ("python3", "python3.12", "python3.11", "python"):
        if found := shutil.which(name):
            yield Path(found)


def _has_pip(python: Path) -> bool:
    try:
        return subprocess.run([str(python), "-c", HAS_PIP], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
