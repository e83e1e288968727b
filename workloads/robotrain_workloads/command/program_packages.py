"""Which Python packages a program can import: its interpreter is asked."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.document import JobDocument

from robotrain_workloads.command.launcher import is_python

LOCKED_MLFLOW = re.compile(r"^mlflow(?:-skinny)?==", re.MULTILINE)
LIST_PACKAGES = (
    "import importlib.metadata, json;"
    "print(json.dumps({each.metadata['Name']: each.version for each in importlib.metadata.distributions()}))"
)
ASK_SECONDS = 60.0


def find_python(program: str, path: str, folder: Path) -> str | None:
    """Return the interpreter that a program most likely runs in; None if there is none.

    :param path: the variable PATH of the program.
    :param folder: where it starts.
    """
    names = [program] if is_python(program) else ["python", "python3"]
    if "/" in program:  # also of a script that was installed with it
        names.insert(0, str((folder / program).with_name(Path(names[0]).name)))
    return next(filter(None, (shutil.which(name, path=path) for name in names)), None)


def list_packages(program: str, environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the version of each package of a program's interpreter, by its normalized name; none if it is unknown."""
    python = find_python(program, environ.get("PATH", os.defpath), folder)
    if python is None:
        return {}
    try:
        answer = subprocess.run(
            [python, "-c", LIST_PACKAGES],
            env=dict(environ),
            cwd=Path("/"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_SECONDS,
        )
        versions = json.loads(answer.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return {}
    return {re.sub(r"[-_.]+", "-", str(name)).lower(): version for name, version in versions.items()}


def can_import_mlflow(packages: Mapping[str, str]) -> bool:
    """Return whether MLflow, or the part of it that logs, is among packages."""
    return not {"mlflow", "mlflow-skinny"}.isdisjoint(packages)


def has_mlflow(document: JobDocument) -> bool:
    """Return whether the program of a job can import MLflow, also before its environment is built."""
    if document.program_lock:
        return LOCKED_MLFLOW.search(document.program_lock) is not None
    program = "bash" if document.parameters["shell"] else document.trainer_args[0]
    python = plugin_loader.get_program_python(document) or program
    return can_import_mlflow(list_packages(str(python), os.environ, Path(os.sep)))
