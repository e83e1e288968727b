"""The two environments of the stand-in, rsl_rl 3.1 with skrl 1.4 and rsl_rl 5.4 with skrl 2.1: built once, outside of
the repository, from committed lists, with a build of torch for the CPU."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from session_variables import OUTSIDE

GENERATIONS = ("rsl3-skrl1", "rsl5-skrl2")
FOLDER = Path(__file__).parent


def install(generation: str) -> Path:
    """Return the interpreter of an environment, built if it is not there: 1 GB each."""
    wanted = FOLDER / f"{generation}.txt"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "robotrain-tests"
    folder = cache / f"isaac-{generation}-{hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            built = Path(scratch, "built")
            _uv("venv", "--python", "3.11", "--relocatable", str(built))
            links = [word for link in os.environ.get("PIP_FIND_LINKS", "").split() for word in ("--find-links", link)]
            _uv("pip", "install", "--python", str(built / "bin/python"), "--no-deps", *links, "-r", str(wanted))
            with contextlib.suppress(OSError):  # another session was quicker
                os.replace(built, folder)
    return folder / "bin/python"


def _uv(*arguments: str) -> None:
    uv = os.environ.get("UV") or shutil.which("uv")  # `uv run` says where it is
    assert uv, "the environments of Isaac Lab's stand-in are built with uv: install it"
    done = subprocess.run([uv, *arguments], env=OUTSIDE, capture_output=True, text=True)
    assert done.returncode == 0, f"uv {arguments[0]}: {done.stderr}"
