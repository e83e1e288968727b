"""What the program's environment can import, and what it gets of robotrain's."""

import dataclasses
import json
import os
import subprocess
import sys
from importlib import metadata

import job_documents
import pytest
from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Note
from robotrain_workloads.command import container, program_start
from robotrain_workloads.command.program_packages import list_packages

OWN = "3.15.0"
RUN = {"MLFLOW_TRACKING_URI": "sqlite:////runs.db", "MLFLOW_EXPERIMENT_ID": "1", "MLFLOW_RUN_ID": "abc"}


def make_packages(mlflow: str, *names: str) -> dict[str, str]:
    return {"mlflow": mlflow, **dict.fromkeys(names, "1.0")}


@pytest.fixture
def sent(monkeypatch):
    """The events that were sent."""
    events = []
    monkeypatch.setattr(event, "emit_event", events.append)
    monkeypatch.setattr(metadata, "version", lambda name: OWN)
    return events


def test_the_interpreter_of_a_program_is_asked(tmp_path):
    prefix, package = tmp_path / "one/bin", tmp_path / "site/editable-1.0.dist-info"
    prefix.mkdir(parents=True)
    for name in ("python", "accelerate"):
        (prefix / name).write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (prefix / name).chmod(0o755)
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Name: My_Editable\nVersion: 1.0\n")
    environ = {"PATH": str(prefix), "PYTHONPATH": str(package.parent)}
    for program in ("python", "accelerate", "one/bin/python", str(prefix / "accelerate"), "bash"):
        assert list_packages(program, environ, tmp_path)["my-editable"] == "1.0"
    assert list_packages("bash", {"PATH": str(tmp_path)}, tmp_path) == {}


def test_a_program_joins_the_run_of_its_job(sent):
    packages = make_packages("3.15.9", "sqlalchemy")
    environ = {**RUN, "MLFLOW_EXPERIMENT_NAME": "of-the-platform", "WANDB_MODE": "offline"}
    assert program_start.add_mlflow_variables(environ, packages) == {**RUN, "WANDB_MODE": "offline"}
    assert sent == []


@pytest.mark.parametrize(
    ("uri", "packages", "expected"),
    [
        ("sqlite:////runs.db", make_packages("2.9.2", "sqlalchemy"), "its MLflow is 2.9.2"),
        ("sqlite:////runs.db", make_packages("3.15.0"), "no sqlalchemy"),
        ("azureml://eastus.example/mlflow", make_packages("3.15.0"), "no azureml-mlflow"),
    ],
)
def test_a_program_that_cannot_write_to_the_run_is_told_nothing_of_it(sent, uri, packages, expected):
    environ = {**RUN, "MLFLOW_TRACKING_URI": uri, "HOME": "/h"}
    assert program_start.add_mlflow_variables(environ, packages) == {"HOME": "/h"}
    (note,) = sent
    assert isinstance(note, Note)
    assert expected in note.text


def test_a_server_takes_any_version(sent):
    environ = {**RUN, "MLFLOW_TRACKING_URI": "https://mlflow.example.com"}
    assert program_start.add_mlflow_variables(environ, make_packages("2.1.0")) == environ
    assert sent == []


def test_an_address_with_a_password_is_not_shown(sent, monkeypatch):
    def fail(uri):
        raise OSError("no answer")

    monkeypatch.setattr("robotrain_workloads.command.program_start.resolve_address", fail)
    environ = {**RUN, "MLFLOW_TRACKING_URI": "https://me:hunter2@mlflow.example.com"}
    assert program_start.add_mlflow_variables(environ, make_packages("2.1.0")) == {}
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
    environ = program_start.add_report_package({"PATH": os.environ["PATH"]}, {}, tmp_path)
    code = "from robotrain_runtime import report; report.metrics(1, loss=2)\ntry:\n import robotrain_runtime.contract\n"
    code += "except ImportError: print('alone')"
    command = [sys.executable, "-S", "-c", code]
    environ["ROBOTRAIN_REPORT"] = str(tmp_path / "report.jsonl")
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "alone\n"
    assert json.loads((tmp_path / "report.jsonl").read_text())["values"] == {"loss": 2.0}
    assert program_start.add_report_package({}, {"robotrain-runtime": "1.0"}, tmp_path) == {}
