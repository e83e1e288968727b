"""What every test stands on: folders of its own, and the command line in this process."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from typer.testing import CliRunner

hypothesis.settings.register_profile("patient", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("patient")

ROOT = Path(__file__).parents[1]
PUSHT = ROOT / "examples/pusht-mini"


AS_A_PROCESS = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
sys.argv[0] = "robotrain"
runpy.run_module("robotrain", run_name="__main__")
"""


@pytest.fixture
def command():
    """The words that start `robotrain` as a process of its own, which hears Ctrl-C."""
    import sys

    return [sys.executable, "-c", AS_A_PROCESS]


POLICY_NAMES = ("POLICY_REPO_ID", "INIT_FROM_POLICY_MODEL")


@dataclass(frozen=True)
class Answer:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """No test sees the state, the `.env` or the environment names of whoever runs it."""
    import os

    for name in list(os.environ):
        if name.startswith("ROBOTRAIN_") and not name.startswith("ROBOTRAIN_TEST_"):
            monkeypatch.delenv(name)
    for name in ("DATASET_REPO_ID", "BLOB_URLS", "DATASET_ASSETS", "BATCH_SIZE", "JOB_NAME", "IMAGE", *POLICY_NAMES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture
def robotrain():
    """Run a command line in this process: `robotrain("render", …)` → Answer."""
    from robotrain.cli.app import app

    def run(*args: object) -> Answer:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def pusht() -> Path:
    """The recorded dataset that comes with the repository."""
    return PUSHT / "dataset"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a plugin for real: a module and the metadata that claims names, on the path of this process.

    `install("acme", {"platform.mars": "acme_mars"}, acme_mars="…source…")`
    """
    import sys

    def install(distribution: str, claims: dict[str, str], version: str = "1.0", **modules: str) -> Path:
        folder = tmp_path / f"site-{distribution}"
        info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        points = "".join(f"{claim} = {module}\n" for claim, module in claims.items())
        (info / "entry_points.txt").write_text(f"[robotrain]\n{points}")
        for name, source in modules.items():
            (folder / f"{name}.py").write_text(source)
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(folder)
        return folder

    return install


@pytest.fixture
def mars(install):
    """The platform of mars.py, installed: one that takes every kind of source."""
    source = (ROOT / "tests/mars.py").read_text()
    install("robotrain-mars", {"platform.mars": "mars_plugin"}, mars_plugin=source)


@pytest.fixture
def venus(install, tmp_path, monkeypatch) -> Path:
    """The platform of venus.py, installed; the folder that is its engine."""
    source = (ROOT / "tests/venus.py").read_text()
    site = install("robotrain-venus", {"platform.venus": "venus_plugin"}, venus_plugin=source)
    engine = tmp_path / "venus"
    engine.mkdir()
    monkeypatch.setenv("VENUS", str(engine))
    monkeypatch.setenv("VENUS_SITE", str(site))
    return engine
