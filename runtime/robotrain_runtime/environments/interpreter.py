"""Discovery of a Python interpreter of a required version on this machine. A candidate must really run.

The requirement is a version, such as `3.12`, or a range, such as `3.10-3.14`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PYTHON_VARIABLE = "ROBOTRAIN_PYTHON"
STARTED_VARIABLE = "ROBOTRAIN_STARTED_PYTHON"
"""The environment variable of a supervisor with the Python that the platform started."""
VERSION_PROBE = "import sys; print('%d.%d' % sys.version_info[:2])"
PLAIN_NAMES = ("python3", "python")


def find_interpreter(required: str) -> Path | None:
    """Return the first interpreter of a `required` version that runs; only `ROBOTRAIN_PYTHON` if it is set."""
    if chosen := get_chosen_interpreter():
        return chosen if is_wanted_python(chosen, required) else None
    candidates = dict.fromkeys(list_candidates(required))
    return next((path for path in candidates if os.path.isfile(path) and is_wanted_python(path, required)), None)


def get_chosen_interpreter() -> Path | None:
    """Return the interpreter that `ROBOTRAIN_PYTHON` names."""
    chosen = os.environ.get(PYTHON_VARIABLE)
    return Path(chosen).expanduser() if chosen else None


def get_started_interpreter() -> Path:
    """Return the Python that the platform started: that of the image, or of the user."""
    return Path(os.environ.get(STARTED_VARIABLE) or sys.executable)


def is_wanted_python(python: Path, required: str) -> bool:
    """Whether `python` runs and has a `required` version; the pyenv shim of an inactive version does not run."""
    return get_python_version(python) in list_allowed_versions(required)


def get_python_version(python: Path, seconds: float = 10) -> str:
    """Return the version of an interpreter, such as 3.12; empty if it does not run, or not within `seconds`."""
    command = [str(python), "-I", "-S", "-c", VERSION_PROBE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def list_allowed_versions(required: str) -> list[str]:
    """Return the versions that `required` allows, newest first."""
    lowest, _, highest = required.partition("-")
    major, _, first = lowest.partition(".")
    last = (highest or lowest).rpartition(".")[2]
    return [f"{major}.{minor}" for minor in range(int(last), int(first) - 1, -1)]


def list_candidates(required: str) -> Iterator[Path]:
    """Yield the paths where an interpreter of a `required` version may be, likeliest first."""
    allowed = list_allowed_versions(required)
    if len(allowed) > 1:  # this Python is probably one of them
        yield get_started_interpreter()
        yield from list_on_path(PLAIN_NAMES)
    home = Path(os.path.expanduser("~"))  # stays "~" for a user without one
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    uv_folder = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    for version in allowed:
        yield from list_on_path((f"python{version}",))
        yield get_started_interpreter()
        yield from _list_newest_first(pyenv / "versions", f"{version}*/bin/python")
        yield from _list_newest_first(uv_folder, f"cpython-{version}.*/bin/python{version}")
        for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"):
            yield Path(folder, f"python{version}")
        yield from _list_newest_first(Path("/opt"), f"python*/bin/python{version}")
    yield from list_on_path(PLAIN_NAMES)


def list_on_path(names: tuple[str, ...]) -> Iterator[Path]:
    """Yield each name in each folder of PATH."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for name in names:
        yield from (Path(folder, name) for folder in folders)


def _list_newest_first(folder: Path, pattern: str) -> list[Path]:
    try:
        paths = list(folder.glob(pattern))
    except OSError:  # it may not be read
        return []
    return sorted(paths, key=lambda path: [*map(len, path.parts), *path.parts], reverse=True)
