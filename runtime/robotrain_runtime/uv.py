"""uv, which builds environments: the one that is here, else a pinned one, checked by its hash."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.failure import Failed

PINNED = Path(__file__).with_name("uv.txt")
HAS_PIP = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)"


def find(cache: Path) -> Path | None:
    """A uv that is on this machine: the one we run under, on PATH, beside our Python, or fetched earlier."""
    named = os.environ.get("UV")
    places = (named, shutil.which("uv"), Path(sys.executable).with_name("uv"), _fetched(cache) / "bin" / "uv")
    return next((Path(place) for place in places if place and os.access(place, os.X_OK)), None)


def pip() -> Path | None:
    """A Python that has pip and can fetch uv."""
    return next((python for python in _pythons() if _has_pip(python)), None)


def obtain(cache: Path) -> Path:
    """uv, fetched with pip when it is not here. Raises Failed."""
    return find(cache) or _fetch(cache)


def version() -> str:
    """The version that would be fetched."""
    found = re.search(r"^uv==([\w.]+)", PINNED.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def _fetch(cache: Path) -> Path:
    python, target = pip(), _fetched(cache)
    if python is None:
        raise Failed("there is no uv here, and no pip to fetch it with: install uv (https://docs.astral.sh/uv)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        flags = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:")
        command = [str(python), "-m", "pip", "install", *flags, "--target", scratch, "-r", str(PINNED)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            told = done.stderr.strip().splitlines()
            raise Failed(f"uv {version()} could not be fetched with pip: {told[-1] if told else 'no reason given'}")
        if not target.exists():  # else another run was quicker
            os.chmod(scratch, 0o755)
            shutil.copytree(scratch, target, symlinks=True)
    return target / "bin" / "uv"


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
