"""What the program's environment can import, found without starting its Python, and what it gets of robotrain's."""

import dataclasses
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import job_documents
import pytest
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Note
from robotrain_workloads.command import container, program_packages, program_start
from robotrain_workloads.command.program_packages import ProgramPackages, find_python

OWN = "3.15.0"
RUN = {"MLFLOW_TRACKING_URI": "sqlite:////runs.db", "MLFLOW_EXPERIMENT_ID": "1", "MLFLOW_RUN_ID": "abc"}


def make_python(prefix: Path, *packages: str, **versions: str) -> Path:
    """Make an environment whose packages are folders: `make_python(prefix, "torch", mlflow="3.1.0")`."""
    site = prefix / "lib/python3.11/site-packages"
    for name in (*packages, *versions):
        (site / name).mkdir(parents=True)
    for name, version in versions.items():
        (site / name / "version.py").write_text(f'import re\n\nVERSION: str = "{version}"\n')
    python = prefix / "bin/python"
    python.parent.mkdir(parents=True)
    python.touch(mode=0o755)
    return python


@pytest.fixture
def sent(monkeypatch):
    """The events that were sent."""
    events = []
    monkeypatch.setattr(program_start, "emit_event", events.append)
    monkeypatch.setattr(metadata, "version", lambda name: OWN)
    return events


def test_the_interpreter_of_a_program_is_found(tmp_path):
    first, second = make_python(tmp_path / "one"), make_python(tmp_path / "two")
    accelerate = second.with_name("accelerate")
    accelerate.touch(mode=0o755)
    path = str(first.parent)
    assert find_python("python", path, tmp_path) == find_python("accelerate", path, tmp_path) == first
    assert find_python("two/bin/python", path, tmp_path) == find_python(str(accelerate), path, tmp_path) == second
    assert find_python("bash", str(tmp_path), tmp_path) is None


def test_packages_of_environments(tmp_path):
    base = make_python(tmp_path / "base", "mlflow")
    venv = make_python(tmp_path / "venv", "torch")
    (site,) = (tmp_path / "venv/lib").glob("python3*/site-packages")
    (site / "editable-1.0.dist-info").mkdir()
    config = tmp_path / "venv/pyvenv.cfg"
    config.write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    program_packages = ProgramPackages(venv)
    assert [program_packages.has(name) for name in ("torch", "editable", "mlflow")] == [True, True, False]
    config.write_text(f"home = {base.parent}\ninclude-system-site-packages = true\n")
    assert ProgramPackages(venv).has("mlflow")
    linked = tmp_path / "bin/python"
    linked.parent.mkdir()
    linked.symlink_to(base)
    assert ProgramPackages(linked).has("mlflow")
    shim = tmp_path / "shims/python"
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\necho {base}\n")
    shim.chmod(0o755)
    assert ProgramPackages(shim).has("mlflow")
    shim.write_text("#!/bin/sh\nexit 127\n")
    assert not ProgramPackages(shim).has("mlflow")
    assert not ProgramPackages(None).has("mlflow")


def test_a_program_joins_the_run_of_its_job(tmp_path, sent):
    packages = ProgramPackages(make_python(tmp_path, "sqlalchemy", mlflow="3.15.9"))
    environ = {**RUN, "MLFLOW_EXPERIMENT_NAME": "of-the-platform", "WANDB_MODE": "offline"}
    assert program_start.add_mlflow_variables(environ, packages) == {**RUN, "WANDB_MODE": "offline"}
    assert sent == []


@pytest.mark.parametrize(
    ("uri", "packages", "versions", "expected"),
    [
        ("sqlite:////runs.db", ["sqlalchemy"], {"mlflow": "2.9.2"}, "its MLflow is 2.9.2"),
        ("sqlite:////runs.db", [], {"mlflow": "3.15.0"}, "no sqlalchemy"),
        ("azureml://eastus.example/mlflow", [], {"mlflow": "3.15.0"}, "no azureml-mlflow"),
    ],
)
def test_a_program_that_cannot_write_to_the_run_is_told_nothing_of_it(
    tmp_path, sent, uri, packages, versions, expected
):
    program_packages = ProgramPackages(make_python(tmp_path, *packages, **versions))
    environ = {**RUN, "MLFLOW_TRACKING_URI": uri, "HOME": "/h"}
    assert program_start.add_mlflow_variables(environ, program_packages) == {"HOME": "/h"}
    (note,) = sent
    assert isinstance(note, Note)
    assert expected in note.text
    assert program_start.add_mlflow_variables(environ, program_packages, lambda: False) == {"HOME": "/h"}
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("files", "words", "is_named"),
    [
        ({"train.py": "import torch\n"}, "python train.py", False),
        ({"train.py": "import torch\n", "lib/log.py": "import mlflow\n"}, "python train.py", True),
        ({"train.py": "", "conf/logger.yaml": "_target_: lightning.MLFlowLogger\n"}, "python train.py", True),
        ({"train.py": ""}, "python train.py --logger mlflow", True),
        ({"train.py": "from transformers import Trainer\n"}, "python train.py", True),
        ({"train.py": "", "model.bin": "mlflow"}, "python train.py", False),
    ],
)
def test_what_says_that_a_program_logs_to_mlflow(tmp_path, files, words, is_named):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert program_packages.names_mlflow(tmp_path, words.split()) is is_named
    assert program_packages.names_mlflow(None, words.split())


def test_a_server_takes_any_version(tmp_path, sent):
    program_packages = ProgramPackages(make_python(tmp_path, mlflow="2.1.0"))
    environ = {**RUN, "MLFLOW_TRACKING_URI": "https://mlflow.example.com"}
    assert program_start.add_mlflow_variables(environ, program_packages) == environ
    assert sent == []


def test_an_address_with_a_password_is_not_shown(tmp_path, sent, monkeypatch):
    def fail(uri):
        raise OSError("no answer")

    monkeypatch.setattr("robotrain_workloads.command.program_start.resolve_address", fail)
    program_packages = ProgramPackages(make_python(tmp_path, mlflow="2.1.0"))
    environ = {**RUN, "MLFLOW_TRACKING_URI": "https://me:hunter2@mlflow.example.com"}
    assert program_start.add_mlflow_variables(environ, program_packages) == {}
    assert "hunter2" not in sent[0].text


@pytest.fixture
def make_document(tmp_path):
    """Make a document: `make_document("python", lock="mlflow==3.1")`."""

    def make(program: str, lock: str = "", **parameters) -> JobDocument:
        settings = {"num_gpus": 1, "seed": 7, **parameters}
        made = job_documents.command(tmp_path, program, "train.py", values={"lr": "1e-4"}, **settings)
        return dataclasses.replace(made, program_lock=lock)

    return make


@pytest.mark.parametrize(
    ("lock", "expected"), [("mlflow==3.1 \\\n", True), ("mlflow-skinny==3\n", True), ("x==1\n", False)]
)
def test_only_a_program_with_mlflow_waits_for_the_run(make_document, lock, expected):
    names = set(container.tracked(make_document("python", lock)).params)
    prefix = "job." if expected else ""  # MLflow refuses another text for a parameter that it has: 0.0001
    assert {f"{prefix}{name}" for name in ("command", "lr", "num_gpus", "seed")} == names


def test_a_program_without_robotrain_imports_the_report_alone(tmp_path):
    environ = program_start.add_report_package({"PATH": os.environ["PATH"]}, ProgramPackages(None), tmp_path)
    code = "from robotrain_runtime import report; report.metrics(1, loss=2)\ntry:\n import robotrain_runtime.contract\n"
    code += "except ImportError: print('alone')"
    command = [sys.executable, "-S", "-c", code]
    environ["ROBOTRAIN_REPORT"] = str(tmp_path / "report.jsonl")
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "alone\n"
    assert json.loads((tmp_path / "report.jsonl").read_text())["values"] == {"loss": 2.0}
    assert "PYTHONPATH" not in program_start.add_report_package(
        {}, ProgramPackages(make_python(tmp_path / "its", "robotrain_runtime")), tmp_path
    )
