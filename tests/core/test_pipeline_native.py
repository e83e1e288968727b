"""A pipeline that the engine of its platform runs: one run, its steps, and what a failure leaves."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from driven_pipelines import PUSHT, STEPS
from fake_engine import answer_submits, set_run_state
from robotrain.model.platform import PlatformEngine
from robotrain.store import records
from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import parse_document


@pytest.fixture
def file(dag_platform, tmp_path, monkeypatch) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(STEPS.replace("EXAMPLE", str(PUSHT)))
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def submitted(file, robotrain) -> str:
    """The run of a submitted pipeline."""
    return json.loads(robotrain("pipeline", "submit", file, "--platform", "dag", "--json").stdout)["run"]


@pytest.fixture
def reach(dag_platform):
    """Set what the engine says of a pipeline and its steps."""

    def write(run: str, state: str, **steps: object) -> None:
        set_run_state(dag_platform, run, state)
        states = {name: step if isinstance(step, dict) else {"state": step} for name, step in steps.items()}
        (dag_platform / f"{run}.steps.json").write_text(json.dumps(states))

    return write


def read_spec(robotrain, file: Path) -> dict:
    robotrain("pipeline", "render", file, "--platform", "dag", "--to", file.with_name("plan"))
    return json.loads(file.with_name("plan").joinpath("dag.json").read_text())


def test_all_steps_are_one_submission_that_the_engine_cancels_as_a_whole(submitted, dag_platform, robotrain):
    assert [path.name for path in (dag_platform / "jobs").iterdir()] == [submitted]
    record = records.read_record(submitted)
    assert (record.native, record.steps) == (True, ("train", "evaluate", "again"))
    robotrain("cancel", submitted)
    assert json.loads((dag_platform / f"{submitted}.json").read_text()) == {"state": "cancelled"}


def test_a_pipeline_has_the_name_of_its_file_unless_it_is_named(submitted, file, robotrain):
    assert records.read_record(submitted).name == "shift"
    command = ("pipeline", "submit", file, "--platform", "dag", "--json", "--new")
    named = robotrain(*command, "--name", "whole", "--note", "first").json["run"]
    assert (records.read_record(named).name, records.read_record(named).note) == ("whole", "first")
    again = robotrain("resubmit", "whole", "--new", "--json").json["run"]
    assert records.read_record(again).name == "whole"


def test_a_pipeline_that_runs_is_not_sent_again(submitted, file, robotrain, reach, dag_platform):
    def submit(*words: object) -> dict:
        return robotrain("pipeline", "submit", file, "--platform", "dag", "--json", *words).json

    assert (submit()["run"], submit("--name", "other")["new"]) == (submitted, False)
    assert robotrain("resubmit", submitted, "--json").json["run"] == submitted
    changed = submit("--set", "train.slots=60")
    assert changed["new"] is True, "settings of a step count, though the digest does not have them"
    assert submit("--set", "train.slots=60")["run"] == changed["run"]
    assert submit("--new")["new"] is True
    for path in (dag_platform / "jobs").iterdir():
        reach(path.name, "failed", train="succeeded", evaluate="failed")
    assert submit()["new"] is True


def test_a_pipeline_resumed_twice_is_one_run(submitted, robotrain, reach):
    reach(submitted, "failed", train="succeeded", evaluate="failed")
    line = ("pipeline", "resume", submitted, "--json")
    runs = [robotrain(*line, *more).json["run"] for more in ((), (), ("--new",))]
    assert runs[0] == runs[1] != runs[2]


def test_each_step_has_what_it_reads_and_hands_over(file, robotrain):
    steps = read_spec(robotrain, file)["steps"]
    jobs = {name: parse_document(json.dumps(step["job"])) for name, step in steps.items()}
    assert {name: step["needs"] for name, step in steps.items()} == {
        "train": [],
        "evaluate": ["train"],
        "again": ["train", "evaluate"],
    }
    assert {name: job.placement.handover for name, job in jobs.items()} == {
        "train": "/dag/train/out",
        "evaluate": "",
        "again": "",
    }
    mounts = {
        name: [(mount.role, mount.uri, mount.folder) for mount in job.placement.mounts] for name, job in jobs.items()
    }
    assert mounts == {
        "train": [],
        "evaluate": [("policy", "train", "${DAG_TRAIN}/policy")],
        "again": [("policy", "train", "${DAG_TRAIN}/policy")],
    }
    models = {name: job.parameters.get("register_model") for name, job in jobs.items()}
    assert models == {"train": None, "evaluate": "pusht-act", "again": None}
    assert "source.step" in jobs["evaluate"].container_plugins
    assert "source.step" not in jobs["train"].container_plugins


def test_settings_of_all_steps_are_queried_side_by_side(file, robotrain, monkeypatch):
    every = threading.Barrier(3, timeout=20)

    def query(*args: object) -> "Mapping[str, object]":
        every.wait()
        return {}

    monkeypatch.setattr(PlatformEngine, "query_settings", query)
    answer = robotrain("pipeline", "submit", file, "--platform", "dag", "--dry-run")
    assert (answer.exit_code, "platform-away" in answer.stderr) == (0, False), answer.stderr


def test_an_engine_limits_no_steps_at_once(file, robotrain):
    file.write_text(file.read_text() + "at_most: 1\n")
    robotrain("pipeline", "render", file, "--platform", "dag").check_problems(3, "options-conflict at_most")


def test_this_machine_need_not_stay_on(file, robotrain):
    assert "this machine" not in robotrain("pipeline", "submit", file, "--platform", "dag", "--native-only").stderr


def test_steps_of_a_running_pipeline_are_shown_in_the_order_of_the_plan(submitted, reach, robotrain):
    reach(submitted, "running", train="running", evaluate="waiting")
    status = json.loads(robotrain("status", submitted, "--json").stdout)
    assert [(step["name"], step["state"]) for step in status["steps"]] == [
        ("train", "running"),
        ("evaluate", "waiting"),
        ("again", "waiting"),
    ]
    robotrain("pipeline", "resume", submitted).check_problems(2, "run-goes-on")


def test_logs_are_those_of_all_steps_or_of_one(submitted, reach, robotrain):
    steps = {"train": {"state": "succeeded", "log": ["loading"]}, "evaluate": {"state": "running", "log": ["rolling"]}}
    reach(submitted, "running", **steps)
    assert robotrain("logs", submitted).stdout.splitlines() == ["[train] loading", "[evaluate] rolling"]
    assert robotrain("logs", submitted, "--step", "evaluate").stdout.splitlines() == ["rolling"]
    robotrain("logs", submitted, "--step", "again").check_problems(2, "step-without-run --step")


def test_the_version_that_a_step_registered_is_shown(submitted, reach, robotrain):
    log = ["uploading", event.format_event(event.Registered(name="pusht-act", version="3", step=40))]
    reach(submitted, "succeeded", train="succeeded", evaluate={"state": "succeeded", "log": log}, again="succeeded")
    assert [model["version"] for model in robotrain("status", submitted, "--json").json["registered"]] == ["3"]
    assert "pusht-act version 3" in robotrain("status", submitted).stdout
    page = robotrain("report", submitted, "--to", "-").stdout
    assert "pusht-act version 3" in page.partition("<summary>Lineage")[2].partition("</details>")[0]


def test_a_report_shows_the_steps_and_what_they_read(submitted, reach, robotrain, tmp_path):
    reach(submitted, "failed", train="succeeded", evaluate={"state": "failed", "reason": "no GPU"}, again="skipped")
    assert robotrain("report", submitted, "--to", tmp_path / "report.html").exit_code == 0
    page = (tmp_path / "report.html").read_text()
    for shown in ("train", "evaluate", "no GPU", "skipped", str(PUSHT / "dataset")):
        assert shown in page


def test_outputs_and_registration_reach_a_step(submitted, reach, robotrain):
    reach(submitted, "succeeded", train={"state": "succeeded", "checkpoints": [40]}, evaluate="succeeded")
    assert "train/checkpoints/000040" in robotrain("outputs", submitted).stdout
    assert "train/checkpoints" not in robotrain("outputs", submitted, "--step", "train").stdout
    assert "models:/pusher/train" in robotrain("register", submitted, "pusher", "--step", "train").stdout
    assert "models:/pusher/evaluate" in robotrain("register", submitted, "pusher").stdout


def test_only_what_is_not_done_is_sent_again_with_what_is_done_as_input(submitted, reach, robotrain, dag_platform):
    reach(submitted, "failed", train="succeeded", evaluate="failed", again="skipped")
    second = json.loads(robotrain("pipeline", "resume", submitted, "--json").stdout)["run"]
    spec = json.loads(read_submitted_spec(second))
    assert list(spec["steps"]) == ["evaluate", "again"]
    assert spec["finished"] == {"train": {"id": submitted, "pipeline": submitted, "step": "train"}}

    reach(second, "failed", evaluate="succeeded", again="failed")
    status = json.loads(robotrain("status", second, "--json").stdout)
    assert [(step["name"], step["state"]) for step in status["steps"]] == [
        ("train", "succeeded"),
        ("evaluate", "succeeded"),
        ("again", "failed"),
    ]
    third = json.loads(robotrain("pipeline", "resume", second, "--json").stdout)["run"]
    spec = json.loads(read_submitted_spec(third))
    assert list(spec["steps"]) == ["again"]
    assert spec["finished"] == {"train": {"id": submitted, "pipeline": submitted, "step": "train"}}

    reach(third, "succeeded", again="succeeded")
    robotrain("pipeline", "resume", third).check_problems(2, "pipeline-complete")


def read_submitted_spec(run: str) -> bytes:
    from robotrain.store.plans import read_stored_plan

    return read_stored_plan(run).plan.files["dag.json"]


def test_an_interrupted_submit_is_found_again(file, dag_platform, robotrain):
    with answer_submits(dag_platform, "takes it and hangs up"):
        robotrain("pipeline", "submit", file, "--platform", "dag")
    run = json.loads(robotrain("pipeline", "submit", file, "--platform", "dag", "--json").stdout)["run"]
    assert [path.read_text().count("\n") for path in (dag_platform / "jobs").iterdir()] == [1]
    assert records.read_record(run).reference["pipeline"] == run
