"""The environment of the stand-in, rsl_rl 3.1 with skrl 1.4: built once, outside of the repository, from a committed
list, with a build of torch for the CPU."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from session_variables import OUTSIDE

LIBRARIES = Path(__file__).with_name("rsl3-skrl1.txt")


def install() -> Path:
    """Return the interpreter of the environment, built if it is not there: 1 GB."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "robotrain-tests"
    folder = cache / f"isaac-rsl3-skrl1-{hashlib.sha256(LIBRARIES.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            built = Path(scratch, "built")
            _uv("venv", "--python", "3.11", "--relocatable", str(built))
            links = [word for link in os.environ.get("PIP_FIND_LINKS", "").split() for word in ("--find-links", link)]
            _uv("pip", "install", "--python", str(built / "bin/python"), "--no-deps", *links, "-r", str(LIBRARIES))
            with contextlib.suppress(OSError):  # another session was quicker
                os.replace(built, folder)
    return folder / "bin/python"


def _uv(*arguments: str) -> None:
    uv = os.environ.get("UV") or shutil.which("uv")  # `uv run` says where it is
    assert uv, "the environments of Isaac Lab's stand-in are built with uv: install it"
    done = subprocess.run([uv, *arguments], env=OUTSIDE, capture_output=True, text=True)
    assert done.returncode == 0, f"uv {arguments[0]}: {done.stderr}"
