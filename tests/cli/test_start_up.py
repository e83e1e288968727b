"""What commands may import: start-up is a feature. Libraries that one command needs are imported by that command.

A fresh process each, so that nothing is there already. bench/startup.py measures the rest, our own modules.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain_runtime.contract.event import Metrics

HEAVY = {"torch", "lerobot", "mlflow", "azure", "rich", "requests", "numpy", "jinja2"}
LIGHT_COMMANDS = {
    "--help": ("--help",),
    "submit --help": ("submit", "--help"),
    "submit --help of a platform": ("submit", "--platform", "local", "--help"),
    "policies": ("policies",),
    "status": ("status",),
    "runs": ("runs",),
}
PROBE = """
import json, sys
sys.argv = ["robotrain", *json.loads(sys.argv[1])]
from robotrain.cli import main
try:
    main()
except SystemExit:
    pass
print("\\n" + json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def list_imports(*args: object) -> set[str]:
    command = [sys.executable, "-c", PROBE, json.dumps([str(arg) for arg in args])]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(json.loads(output.splitlines()[-1]))


def test_version_imports_no_library():
    assert not list_imports("--version") & {"typer", "pydantic", "pluggy", "yaml", *HEAVY}


@pytest.mark.parametrize("words", LIGHT_COMMANDS.values(), ids=LIGHT_COMMANDS)
def test_helps_and_lists_import_no_pydantic(words):
    Path("robotrain.toml").write_text("platform = 'local'\n")
    assert not list_imports(*words) & {"pydantic", *HEAVY}


def test_status_of_a_run_imports_no_pydantic(scripted, tmp_path, monkeypatch):
    scripted.run("train-1", Metrics(step=1, total=2, values={"train/loss": 1.0}))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site-robotrain-scripted"))
    modules = list_imports("status")
    assert "scripted_plugin" in modules
    assert not modules & {"pydantic", *HEAVY}


def test_render_imports_no_sdk():
    assert not list_imports("render", "--platform", "local", "--dataset-path", "x") & HEAVY
