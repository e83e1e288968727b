"""Fixtures of the core tests: a platform whose settings are looked up, a fake `terraform`, driven pipelines, and
a workload whose program is asked about options.
"""

import importlib.metadata
import json
import os
import sys
from pathlib import Path

import driven_pipelines
import pytest
import song_workload
from robotrain.store import records

CLOUD_LOOKUP = (Path(__file__).parent / "cloud_platform.py").read_text()


@pytest.fixture
def cloud_platform(fake_platform, install, tmp_path, monkeypatch):
    """The platform of cloud_platform.py, installed; a function that returns how often its look-up was called."""
    install("robotrain-cloud", {"platform.cloud": "cloud_plugin"}, cloud_plugin=CLOUD_LOOKUP)
    monkeypatch.setenv("CLOUD_LOOKUP", str(tmp_path / "cloud.txt"))
    monkeypatch.setenv("CLOUD_LOOKUP_CALLS", str(tmp_path / "asked.txt"))

    def count_lookups() -> int:
        path = tmp_path / "asked.txt"
        return len(path.read_text().splitlines()) if path.exists() else 0

    return count_lookups


@pytest.fixture
def queried_platform(fake_platform, install) -> Path:
    """The platform of queried_platform.py, installed; the folder that is its engine."""
    source = (Path(__file__).parent / "queried_platform.py").read_text()
    install("robotrain-queried", {"platform.queried": "queried_plugin"}, queried_plugin=source)
    (fake_platform / "made").write_text("made by queried")
    return fake_platform


class Terraform:
    """A `terraform` with set outputs that records its calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bin = folder / "bin"
        self._bin.mkdir(parents=True)
        self.set_script("exit 0")
        self.set_outputs()

    def set_script(self, script: str) -> None:
        """Set the shell script that runs after a call was recorded."""
        calls = self.folder / "calls.txt"
        noted = '"$PWD|$*|$TF_IN_AUTOMATION|$TF_INPUT|$CHECKPOINT_DISABLE|$(cat)"'
        path = self._bin / "terraform"
        path.write_text(f"#!/bin/sh\necho {noted} >> '{calls}'\n{script}\n")
        path.chmod(0o755)

    def set_output_text(self, text: str) -> None:
        """Set the whole text that it prints."""
        (self.folder / "printed").write_text(text)
        self.set_script(f"cat '{self.folder / 'printed'}'")

    def set_outputs(self, secret: object = None, **values: object) -> None:
        """Set outputs; one named `secret` is sensitive."""
        body = {name: {"sensitive": False, "type": "string", "value": value} for name, value in values.items()}
        if secret is not None:
            body["secret"] = {"sensitive": True, "type": "string", "value": secret}
        self.set_output_text(json.dumps(body))

    @property
    def calls(self) -> list[list[str]]:
        """Each call: the folder, the arguments, three names of the environment, what stood on stdin."""
        path = self.folder / "calls.txt"
        return [line.split("|") for line in path.read_text().splitlines()] if path.exists() else []

    def remove(self) -> None:
        """Remove the command."""
        (self._bin / "terraform").unlink()


@pytest.fixture
def terraform(tmp_path, monkeypatch):
    """A `terraform` on the path, and `infrastructure/terraform` with state here."""
    made = Terraform(tmp_path / "terraform")
    monkeypatch.setenv("PATH", f"{made.folder / 'bin'}:/usr/bin:/bin")
    make_terraform_folder("infrastructure/terraform")
    return made


def make_terraform_folder(folder: str) -> Path:
    """Make a folder that Terraform keeps state in."""
    path = Path(folder)
    path.mkdir(parents=True)
    (path / "terraform.tfstate").write_text("{}")
    return path


@pytest.fixture
def terraform_folder():
    """Make a folder that Terraform keeps state in."""
    return make_terraform_folder


@pytest.fixture
def explain_values(robotrain):
    """Return the rows of `explain --json` by name; `explain_values.stderr` is that of the last call."""

    def run(*args):
        answer = robotrain("explain", "--json", *args)
        assert answer.exit_code == 0, answer.stderr
        run.stderr = answer.stderr
        return {row["name"]: row for row in answer.json["values"]}

    return run


@pytest.fixture
def explain_cloud(explain_values, cloud_platform):
    """Return the rows of a job on the cloud platform; `explain_cloud.stderr` is that of the last call."""

    def run(*args):
        rows = explain_values("--platform", "cloud", "--dataset-path", "x", *args)
        run.stderr = explain_values.stderr
        return rows

    return run


@pytest.fixture
def engine(fake_platform, monkeypatch):
    """The engine of the fake platform, which the process of a driver finds too; the drivers end with the test."""
    monkeypatch.setenv("PYTHONPATH", os.environ["FAKE_SITE"])
    yield fake_platform
    for name in records.list_runs():
        driven_pipelines.stop_driver(name)


@pytest.fixture
def submit_pipeline(robotrain, tmp_path):
    """Submit a pipeline to the fake platform and return its run."""

    def submit(text: str = driven_pipelines.STEPS, *options: object) -> str:
        file = tmp_path / "here/pipeline.yaml"
        file.write_text(text.replace("EXAMPLE", str(driven_pipelines.PUSHT)))
        answer = robotrain("pipeline", "submit", file, "--platform", "fake", *options)
        assert answer.exit_code == 0, answer.stderr
        return answer.stdout.split()[0]

    return submit


@pytest.fixture
def score(tmp_path):
    folder = tmp_path / "score"
    folder.mkdir()
    (folder / "score.txt").write_text("c d e")
    return folder


@pytest.fixture
def song_folder(install):
    """The folder of a stranger's workload that has a check command."""
    modules = {"song_plugin": song_workload.WORKLOAD, "song_work": song_workload.CONTAINER}
    folder = install("acme-song", {"workload.sing": "song_plugin"}, song_check=song_workload.PROGRAM, **modules)
    (folder / "song.txt").write_text(f"typer=={importlib.metadata.version('typer')} \\\n    --hash=sha256:00\n")
    return folder


@pytest.fixture
def ask(robotrain, song_folder, fake_platform, score, monkeypatch):
    """Run a dry run of a song with options after `--`, and with the Python of these tests as the checker."""
    monkeypatch.setenv("ROBOTRAIN_CHECKER", sys.executable)

    def ask(*options, words=("submit", "--dry-run"), platform="fake"):
        job = ("sing", "--platform", platform, "--dataset-path", score, *words[1:], "--json")
        return robotrain(words[0], *job, *(("--", *options) if options else ()))

    return ask
