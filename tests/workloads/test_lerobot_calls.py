"""What the container calls of LeRobot exists in the version that is shipped."""

import ast
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import robotrain_workloads
from lerobot_calls import CALLS

FOLDER = Path(robotrain_workloads.__file__).parent
MODULE = re.compile(r"lerobot(\.\w+)+")
TRACKED = re.compile(r"lerobot\.(framework|job_name|distributed)")
"""Names of tags."""


def find_modules(path: Path) -> Iterator[str]:
    """The modules of LeRobot that a file imports, or names in a text."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lerobot":
            module = str(node.module)  # else its names are modules
            yield from [module] if module in CALLS else [f"{module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and MODULE.fullmatch(node.value):
            yield from [] if TRACKED.fullmatch(node.value) else [node.value]


@pytest.mark.slow
def test_every_module_of_lerobot_that_is_imported_is_checked() -> None:
    named = {module: path for path in FOLDER.rglob("*.py") for module in find_modules(path)}
    assert {module: path for module, path in named.items() if module not in CALLS} == {}
    assert "lerobot.scripts.lerobot_train" in named


@pytest.mark.slow
def test_the_shipped_version_has_what_is_called(training_python: Path) -> None:
    command = [training_python, Path(__file__).with_name("lerobot_calls.py")]
    done = subprocess.run(command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
