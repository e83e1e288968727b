"""What each command may import: start-up is a feature. A fresh process each, so that nothing is there already."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain_runtime.contract.event import Metrics

HEAVY = ("torch", "lerobot", "mlflow", "azure", "rich", "click", "requests", "numpy", "jinja2")
PROBE = """
import json, sys
sys.argv = ["robotrain", *json.loads(sys.argv[1])]
from robotrain.cli import main
try:
    main()
except SystemExit:
    pass
print("\\n" + json.dumps(sorted(sys.modules)))
"""


def list_imports(*args: object) -> set[str]:
    command = [sys.executable, "-c", PROBE, json.dumps([str(arg) for arg in args])]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(json.loads(output.splitlines()[-1]))


def top_packages(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules}


def test_version_imports_nothing():
    assert not top_packages(list_imports("--version")) & {"typer", "pydantic", "pluggy", "yaml", "importlib.metadata"}


def test_help_imports_no_plugin():
    modules = list_imports("--help")
    assert not top_packages(modules) & {"pluggy", "pydantic", "yaml", "dotenv", *HEAVY}
    assert not top_packages(modules) & {"robotrain_local", "robotrain_sources", "robotrain_workloads"}


@pytest.mark.parametrize("args", [("submit", "--help"), ("submit", "--platform", "local", "--help"), ("policies",)])
def test_the_help_of_submit_and_the_list_of_policies_do_without_pydantic(args):
    modules = list_imports(*args)
    assert not top_packages(modules) & {"pydantic", "yaml", "dotenv", *HEAVY}
    needless = ("robotrain.config.request", "robotrain.config.terraform", "robotrain_runtime.contract.document")
    assert not modules & {*needless, "tomllib"}
    Path("robotrain.toml").write_text("platform = 'local'\n")
    assert not top_packages(list_imports(*args)) & {"pydantic", "yaml", "dotenv", *HEAVY}


def test_status_is_light(scripted, tmp_path, monkeypatch):
    assert not top_packages(list_imports("status")) & {"pluggy"}  # no run yet
    scripted.run("train-1", Metrics(step=1, total=2, values={"train/loss": 1.0}))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site-robotrain-scripted"))
    modules = list_imports("status")
    assert "scripted_plugin" in modules
    assert not top_packages(modules) & {"pydantic", "yaml", "dotenv", "queue", "unicodedata", *HEAVY}
    drawing = {"robotrain.cli.columns", "robotrain.cli.watch.dashboard", "robotrain.cli.watch.follower"}
    assert not modules & drawing


def test_render_imports_no_sdk_and_no_other_platform():
    modules = list_imports("render", "--platform", "local", "--dataset-path", "x")
    assert not top_packages(modules) & {"ctypes", *HEAVY}
    assert not {name for name in modules if name.startswith("robotrain_runtime.") and "engine" in name}


def test_an_evaluation_without_options_for_its_policy_reads_no_tree_of_options():
    words = ("render", "lerobot-eval", "--platform", "local", "--dataset-path", "x", "--builtin-policy")
    assert "robotrain_workloads.lerobot_options.option_tree" not in list_imports(*words)
