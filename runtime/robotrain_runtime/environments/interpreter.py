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


def find_interpreter(version_range: str) -> Path | None:
    """Return the first interpreter of an allowed version that runs; only `ROBOTRAIN_PYTHON` if it is set."""
    if chosen_python := get_chosen_interpreter():
        return chosen_python if is_wanted_python(chosen_python, version_range) else None
    candidates = dict.fromkeys(list_candidates(version_range))
    return next((path for path in candidates if os.path.isfile(path) and is_wanted_python(path, version_range)), None)


def get_chosen_interpreter() -> Path | None:
    """Return the interpreter that `ROBOTRAIN_PYTHON` names."""
    chosen_path = os.environ.get(PYTHON_VARIABLE)
    return Path(chosen_path).expanduser() if chosen_path else None


def get_started_interpreter() -> Path:
    """Return the Python that the platform started: that of the image, or of the user."""
    return Path(os.environ.get(STARTED_VARIABLE) or sys.executable)


def is_wanted_python(python: Path, version_range: str) -> bool:
    """Whether `python` runs and has an allowed version; the pyenv shim of an inactive version does not run."""
    return get_python_version(python) in list_allowed_versions(version_range)


def get_python_version(python: Path, seconds: float = 10) -> str:
    """Return the version of an interpreter, such as 3.12; empty if it does not run, or not within `seconds`."""
    command = [str(python), "-I", "-S", "-c", VERSION_PROBE]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def list_allowed_versions(version_range: str) -> list[str]:
    """Return the versions that `version_range` allows, newest first."""
    lowest, _, highest = version_range.partition("-")
    major, _, first_minor = lowest.partition(".")
    last_minor = (highest or lowest).rpartition(".")[2]
    return [f"{major}.{minor}" for minor in range(int(last_minor), int(first_minor) - 1, -1)]


def list_candidates(version_range: str) -> Iterator[Path]:
    """Yield the paths where an interpreter of an allowed version may be, likeliest first."""
    allowed_versions = list_allowed_versions(version_range)
    if len(allowed_versions) > 1:  # this Python is probably one of them
        yield get_started_interpreter()
        yield from list_on_path(PLAIN_NAMES)
    home = Path(os.path.expanduser("~"))  # stays "~" for a user without one
    data_folder = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    uv_folder = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data_folder / "uv" / "python")
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    for version in allowed_versions:
        yield from list_on_path((f"python{version}",))
        yield get_started_interpreter()
        yield from _list_newest_first(pyenv / "versions", f"{version}*/bin/python")
        yield from _list_newest_first(uv_folder, f"cpython-{version}.*/bin/python{version}")
        for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"):
            yield Path(folder, f"python{version}")
        yield from _list_newest_first(Path("/opt"), f"python*/bin/python{version}")
    yield from list_on_path(PLAIN_NAMES)


def list_on_path(program_names: tuple[str, ...]) -> Iterator[Path]:
    """Yield each name in each folder of PATH."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for name in program_names:
        yield from (Path(folder, name) for folder in folders)


def _list_newest_first(folder: Path, pattern: str) -> list[Path]:
    try:
        paths = list(folder.glob(pattern))
    except OSError:  # it may not be read
        return []
    return sorted(paths, key=lambda path: [*map(len, path.parts), *path.parts], reverse=True)
