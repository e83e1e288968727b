"""What commands may import: start-up is a feature. Libraries that one command needs are imported by that command.

Fresh processes, so that nothing is there already. bench/startup.py measures the rest, our own modules.
"""

import json
import subprocess
import sys
from pathlib import Path

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
from robotrain.cli import main
seen, new = set(), []
for words in json.loads(sys.argv[1]):
    sys.argv = ["robotrain", *words]
    try:
        main()
    except SystemExit:
        pass
    names = {name.partition(".")[0] for name in sys.modules}
    new.append(sorted(names - seen))
    seen |= names
print("\\n" + json.dumps(new))
"""


def list_imports(*commands: tuple[object, ...]) -> list[set[str]]:
    """Return what each command imports that those before it, in the same process, did not."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    command = [sys.executable, "-c", PROBE, words]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [*map(set, json.loads(output.splitlines()[-1]))]


def test_version_imports_no_library():
    (modules,) = list_imports(("--version",))
    assert not modules & {"typer", "pydantic", "pluggy", "yaml", *HEAVY}


def test_helps_and_lists_import_no_pydantic():
    Path("robotrain.toml").write_text("platform = 'local'\n")
    imports = list_imports(*LIGHT_COMMANDS.values())
    assert "robotrain" in imports[0]
    heavy = {name: modules & {"pydantic", *HEAVY} for name, modules in zip(LIGHT_COMMANDS, imports, strict=True)}
    assert not any(heavy.values()), heavy


def test_status_of_a_run_imports_no_pydantic(scripted, tmp_path, monkeypatch):
    scripted.run("train-1", Metrics(step=1, total=2, values={"train/loss": 1.0}))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site-robotrain-scripted"))
    (modules,) = list_imports(("status",))
    assert "scripted_plugin" in modules
    assert not modules & {"pydantic", *HEAVY}


def test_render_imports_no_sdk():
    (modules,) = list_imports(("render", "--platform", "local", "--dataset-path", "x"))
    assert not modules & HEAVY
