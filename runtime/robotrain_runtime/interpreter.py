"""Finding a Python interpreter of a wanted version on this machine. A candidate counts only when it really runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OVERRIDE = "ROBOTRAIN_PYTHON"
PROBE = "import sys; print('%d.%d' % sys.version_info[:2])"


def find(version: str) -> Path | None:
    """The first interpreter of `version`, such as 3.12, that runs; `ROBOTRAIN_PYTHON` alone when it is set."""
    if said := os.environ.get(OVERRIDE):
        path = Path(said).expanduser()
        return path if runs(path, version) else None
    seen = dict.fromkeys(candidates(version))
    return next((path for path in seen if path.is_file() and runs(path, version)), None)


def runs(python: Path, version: str) -> bool:
    """Whether `python` runs and is of `version`; a pyenv shim of a version that is not active does not run."""
    try:
        told = subprocess.run(
            [str(python), "-I", "-S", "-c", PROBE], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return told.returncode == 0 and told.stdout.strip() == version


def candidates(version: str) -> Iterator[Path]:
    """Where an interpreter of `version` may be, the likeliest places first."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder, f"python{version}")
    yield Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from _newest(pyenv / "versions", f"{version}*/bin/python")
    yield from _newest(_managed_by_uv(), f"cpython-{version}.*/bin/python{version}")
    for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"):
        yield Path(folder, f"python{version}")
    yield from _newest(Path("/opt"), f"python*/bin/python{version}")
    for name in ("python3", "python"):
        yield from (Path(folder, name) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder)


def _managed_by_uv() -> Path:
    if said := os.environ.get("UV_PYTHON_INSTALL_DIR"):
        return Path(said)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "uv" / "python"


def _newest(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern), key=lambda path: [*map(len, path.parts), *path.parts], reverse=True)
