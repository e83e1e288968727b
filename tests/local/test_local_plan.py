"""The plan of a process: the same bytes for the same job, whoever renders it, and nothing secret in it."""

import json
import sys
from pathlib import Path

import pytest
from local_runs import PLUGIN_MODULES, Runs
from robotrain.errors import Stage, format_problem
from robotrain.model.plan import Plan
from robotrain.submission.packing import pack_modules
from robotrain_local import spec
from robotrain_local.platform import LOCAL
from robotrain_local.settings import LocalSettings
from robotrain_runtime.contract import document


def placement_of(plan: Plan) -> document.Placement:
    return document.parse_document(plan.files["job.json"].decode()).placement


def test_the_plan_says_what_runs_and_where_but_not_under_which_python(runs: Runs, tmp_path: Path) -> None:
    plan = runs.plan("pass")
    process = json.loads(plan.files[plan.spec])
    assert (process["module"], process["arguments"]) == ("robotrain_runtime", ["run", "job.json"])
    assert process["folder"] == placement_of(plan).work == str(runs.folder / "runs" / "tiny-1")
    assert process["payload"] == pack_modules(PLUGIN_MODULES.values()).digest
    assert sys.executable not in plan.files[plan.spec].decode()
    assert set(plan.shown) == {"process.json", "job.json"}


def test_without_settings_everything_lies_in_robotrains_own_folders(runs: Runs, tmp_path: Path) -> None:
    runs.settings = LocalSettings()
    where = placement_of(runs.plan("pass"))
    assert where.work == str(runs.folder / "state" / "local" / "tiny-1")
    assert where.cache == str(runs.folder / "cache")
    assert where.tracking_uri == f"sqlite:///{runs.folder}/state/mlflow.db"
    assert where.environment is None


def test_a_stray_tracking_address_of_another_project_is_not_read(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    before = runs.plan("pass").digest
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://elsewhere.example")
    assert runs.plan("pass").digest == before


@pytest.mark.parametrize(
    ("uri", "absolute"),
    [
        ("https://tracking.example/path", "https://tracking.example/path"),
        ("databricks", "databricks"),
        ("sqlite:///here.db", "sqlite:///{cwd}/here.db"),
        ("sqlite:////there/here.db", "sqlite:////there/here.db"),
        ("mlruns", "{cwd}/mlruns"),
        ("file:///there", "file:///there"),
    ],
)
def test_a_relative_tracking_file_is_one_of_the_folder_it_was_said_in(
    uri: str, absolute: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert LocalSettings(tracking_uri=uri).tracking_uri == absolute.format(cwd=tmp_path)


def test_relative_folders_are_those_of_the_folder_they_were_said_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    settings = LocalSettings(environment=".venv", runs_dir="~/runs")
    assert (settings.environment, settings.runs_dir) == (f"{tmp_path}/.venv", "/home/somebody/runs")


def test_a_password_in_the_tracking_address_is_refused_and_not_repeated(runs: Runs) -> None:
    settings = LocalSettings(tracking_uri="https://me:hunter2@tracking.example/x?token=abc")
    (problem,) = LOCAL.plans.check(runs.plan("pass").job, settings)
    report = format_problem(problem)
    assert problem.stage is Stage.PARSE
    assert "https://<redacted>@tracking.example/x" in report
    assert "hunter2" not in report
    assert "abc" not in report


def test_ordinary_addresses_pass(runs: Runs) -> None:
    for address in (None, "https://tracking.example", "sqlite:////a@b/mlflow.db"):
        assert list(LOCAL.plans.check(runs.plan("pass").job, LocalSettings(tracking_uri=address))) == []


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"schema": 2}', b'{"schema": 1}'])
def test_a_spec_that_describes_no_process_is_refused_with_a_sentence(content: bytes) -> None:
    with pytest.raises(spec.ProcessSpecError, match=r"process\.json"):
        spec.parse_spec(content)
