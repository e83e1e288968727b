"""The runtime runs under a stranger's Python: the standard library, from 3.10 on."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import robotrain_runtime

FOLDER = Path(robotrain_runtime.__file__).parent
MODULES = sorted(FOLDER.rglob("*.py"))
ENVIRONMENT_MODULES = ("tracking.mlflow_store", "tracking.tracking_process")
"""They run in a job's environment, which has MLflow."""
ENVIRONMENT_PACKAGES = {"mlflow", "psutil", "pynvml"}
"""What other modules import only where it is installed."""


def dotted(path: Path) -> str:
    parts = path.relative_to(FOLDER).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def old_python() -> str | None:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    places = [*sorted(pyenv.glob("3.10*/bin/python")), *filter(None, [shutil.which("python3.10")])]
    for place in places:
        if subprocess.run([str(place), "-c", ""], capture_output=True).returncode == 0:
            return str(place)
    return None


def test_modules_import_the_standard_library_and_their_siblings_alone():
    allowed = {"robotrain_runtime", *sys.stdlib_module_names, *ENVIRONMENT_PACKAGES}
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            assert {name.partition(".")[0] for name in names} <= allowed, module


def test_python_3_10_imports_every_module():
    python = old_python()
    if python is None:
        pytest.skip("no Python 3.10 on this machine")
    names = [dotted(path) for path in MODULES if dotted(path) not in (*ENVIRONMENT_MODULES, "", "__main__")]
    code = f"import sys; sys.path.insert(0, {str(FOLDER.parent)!r}); import " + ", ".join(
        f"robotrain_runtime.{name}" for name in names
    )
    done = subprocess.run([python, "-I", "-S", "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_python_3_10_runs_a_job(job, tmp_path):
    from robotrain_runtime.contract import document

    python = old_python()
    if python is None:
        pytest.skip("no Python 3.10 on this machine")
    (tmp_path / "job.json").write_text(document.format_document(job("print('old but fine')")))
    container_plugins = Path(__file__).parent / "container_plugins"
    done = subprocess.run(
        [python, "-S", "-m", "robotrain_runtime", "run", str(tmp_path / "job.json")],
        env={"PYTHONPATH": f"{FOLDER.parent}{os.pathsep}{container_plugins}", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "old but fine" in done.stdout.splitlines()
