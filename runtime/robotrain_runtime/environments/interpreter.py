"""Finding a Python interpreter of a wanted version on this machine. A candidate counts only when it really runs.

What is wanted is one version, such as `3.12`, or any of a range, such as `3.10-3.14`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PYTHON_VARIABLE = "ROBOTRAIN_PYTHON"
VERSION_PROBE = "import sys; print('%d.%d' % sys.version_info[:2])"
PLAIN_NAMES = ("python3", "python")


def find_interpreter(wanted: str) -> Path | None:
    """The first interpreter of a `wanted` version that runs; `ROBOTRAIN_PYTHON` alone when it is set."""
    if said := get_chosen_interpreter():
        return said if is_wanted_python(said, wanted) else None
    seen = dict.fromkeys(list_candidates(wanted))
    return next((path for path in seen if path.is_file() and is_wanted_python(path, wanted)), None)


def get_chosen_interpreter() -> Path | None:
    """The interpreter that `ROBOTRAIN_PYTHON` names."""
    said = os.environ.get(PYTHON_VARIABLE)
    return Path(said).expanduser() if said else None


def is_wanted_python(python: Path, wanted: str) -> bool:
    """Whether `python` runs and is of a `wanted` version; a pyenv shim of one that is not active does not run."""
    return get_python_version(python) in list_allowed_versions(wanted)


def get_python_version(python: Path, seconds: float = 10) -> str:
    """That of an interpreter, such as 3.12; empty when it does not run, or takes longer to start."""
    command = [str(python), "-I", "-S", "-c", VERSION_PROBE]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""


def list_allowed_versions(wanted: str) -> list[str]:
    """Those that `wanted` allows, the newest first."""
    lowest, _, highest = wanted.partition("-")
    major, _, first = lowest.partition(".")
    last = (highest or lowest).rpartition(".")[2]
    return [f"{major}.{minor}" for minor in range(int(last), int(first) - 1, -1)]


def list_candidates(wanted: str) -> Iterator[Path]:
    """Where an interpreter of a `wanted` version may be, the likeliest places first."""
    allowed = list_allowed_versions(wanted)
    if len(allowed) > 1:  # the one we run under will do, more often than not
        yield Path(sys.executable)
        yield from list_on_path(PLAIN_NAMES)
    for one in allowed:
        yield from _list_of_version(one)
    yield from list_on_path(PLAIN_NAMES)


def list_on_path(names: tuple[str, ...]) -> Iterator[Path]:
    """Each name in each folder of PATH."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for name in names:
        yield from (Path(folder, name) for folder in folders)


def _list_of_version(version: str) -> Iterator[Path]:
    yield from list_on_path((f"python{version}",))
    yield Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from _list_newest_first(pyenv / "versions", f"{version}*/bin/python")
    yield from _list_newest_first(_get_uv_python_folder(), f"cpython-{version}.*/bin/python{version}")
    for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"):
        yield Path(folder, f"python{version}")
    yield from _list_newest_first(Path("/opt"), f"python*/bin/python{version}")


def _get_uv_python_folder() -> Path:
    if said := os.environ.get("UV_PYTHON_INSTALL_DIR"):
        return Path(said)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "uv" / "python"


def _list_newest_first(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern), key=lambda path: [*map(len, path.parts), *path.parts], reverse=True)
