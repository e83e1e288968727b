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
MODULES = sorted(FOLDER.glob("*.py"))
IN_THE_TRAINING_ENVIRONMENT = ("tracking", "tracking_desk", "tracking_registry", "tracking_store")


def old_python() -> str | None:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    places = [*sorted(pyenv.glob("3.10*/bin/python")), *filter(None, [shutil.which("python3.10")])]
    for place in places:
        if subprocess.run([str(place), "-c", ""], capture_output=True).returncode == 0:
            return str(place)
    return None


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_the_standard_library_and_its_siblings_alone(module):
    for node in ast.walk(ast.parse(module.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for name in names:
            top = name.partition(".")[0]
            assert top == "robotrain_runtime" or top in sys.stdlib_module_names, f"{module.name} imports {name}"


def test_python_3_10_imports_every_module():
    python = old_python()
    if python is None:
        pytest.skip("no Python 3.10 on this machine")
    names = [path.stem for path in MODULES if path.stem not in (*IN_THE_TRAINING_ENVIRONMENT, "__init__")]
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
    halves = Path(__file__).parent / "halves"
    done = subprocess.run(
        [python, "-S", "-m", "robotrain_runtime", "run", str(tmp_path / "job.json")],
        env={"PYTHONPATH": f"{FOLDER.parent}{os.pathsep}{halves}", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "old but fine" in done.stdout.splitlines()
