"""What Python packages a program can import, found on the disk."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.files import read_limited_file

from robotrain_workloads.command.launcher import is_python

LOCKED_MLFLOW = re.compile(r"^mlflow(?:-skinny)?==", re.MULTILINE)
VERSION = re.compile(r"^VERSION\s*(?::\s*\w+\s*)?=\s*[\"']([^\"']+)", re.MULTILINE)
LOGS_TO_MLFLOW = re.compile(rb"(?i)mlflow|transformers|ultralytics|accelerate")
TEXT_SUFFIXES = (".py", ".sh", ".yaml", ".yml", ".json", ".toml", ".ini", ".cfg")
MAX_FILES, MAX_BYTES = 5000, 1 << 20
ASK_SECONDS = 5.0
PLACES = ("lib/python3*/site-packages", "lib/python3*/dist-packages", "lib64/python3*/site-packages")


def find_python(program: str, path: str, folder: Path) -> Path | None:
    """Return the interpreter that a program most likely runs in; None if there is none.

    :param path: the variable PATH of the program.
    :param folder: where it starts.
    """
    if "/" in program:
        program_file = folder / program
        if is_python(program):
            return program_file if program_file.is_file() else None
        if (python_beside := program_file.with_name("python")).is_file():  # of a script that was installed with it
            return python_beside
    program_names = [program] if is_python(program) else ["python", "python3"]
    executable = next(filter(None, (shutil.which(name, path=path) for name in program_names)), None)
    return Path(executable) if executable else None


def list_package_folders(python: Path) -> Iterator[Path]:
    """Yield the folders of the packages that an interpreter imports."""
    python = _find_behind_script(python)
    prefix = python.absolute().parent.parent
    prefixes = [prefix]
    try:
        settings = (prefix / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        prefixes = [prefix, python.resolve().parent.parent, *((Path("/usr/local"),) if prefix == Path("/usr") else ())]
        prefixes.append(Path.home() / ".local")
    else:
        settings_by_name = dict(re.findall(r"^([\w-]+)\s*=\s*(.*?)\s*$", settings, re.MULTILINE))
        if settings_by_name.get("include-system-site-packages", "").lower() == "true" and settings_by_name.get("home"):
            prefixes.append(Path(settings_by_name["home"]).resolve().parent)
    for root in dict.fromkeys(prefixes):
        for pattern in PLACES:
            yield from sorted(root.glob(pattern))


def _find_behind_script(python: Path) -> Path:
    """Return the interpreter that a script of that name starts, such as a shim of pyenv: only such a one is asked."""
    try:
        with python.open("rb") as file:
            if file.read(2) != b"#!":
                return python
        command = [str(python), "-I", "-S", "-c", "import sys; print(sys.executable)"]
        completed_process = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=ASK_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return python
    return Path(completed_process.stdout.strip() or python)


class ProgramPackages:
    """The packages of an interpreter."""

    def __init__(self, python: Path | None) -> None:
        self._folders = list(list_package_folders(python)) if python else []

    def has(self, package: str) -> bool:
        """Return whether a package, such as `azureml/mlflow`, can be imported, also one installed as editable."""
        name = package.partition("/")[0]
        return any((folder / package).is_dir() or any(folder.glob(f"{name}-*.dist-info")) for folder in self._folders)

    def get_version(self, package: str) -> str:
        """Return what the package says in its `version.py`; empty if it does not."""
        for folder in self._folders:
            try:
                match = VERSION.search((folder / package / "version.py").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if match:
                return match[1]
        return ""


def names_mlflow(code: Path | None, words: Sequence[str]) -> bool:
    """Return whether a command or a file of its code names MLflow, or a library that logs to it by itself.

    :param code: its folder; without one it is not known, and so it may.
    """
    if code is None or LOGS_TO_MLFLOW.search(" ".join(words).encode()):
        return True
    paths = (Path(folder, name) for folder, _, names in os.walk(code) for name in names)
    for path in islice((path for path in paths if path.suffix in TEXT_SUFFIXES), MAX_FILES):
        with suppress(OSError, ValueError):
            if LOGS_TO_MLFLOW.search(read_limited_file(path, MAX_BYTES)):
                return True
    return False


def has_mlflow(document: JobDocument) -> bool:
    """Return whether the program of a job can import MLflow, also before its environment is built."""
    if document.program_lock:
        return LOCKED_MLFLOW.search(document.program_lock) is not None
    python = plugin_loader.get_program_python(document)
    if python is None:
        program = "bash" if document.parameters["shell"] else document.trainer_args[0]
        python = find_python(program, os.environ.get("PATH", os.defpath), Path(os.sep))
    return ProgramPackages(python).has("mlflow")
