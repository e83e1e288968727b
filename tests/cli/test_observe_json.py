"""What programs read: the keys of every `--json` about runs, which are only ever added to; more in json_keys.json."""

import json

import pytest
from robotrain.cli.watch import follower
from robotrain_runtime.contract.event import (
    Checkpoint,
    Delivered,
    Discarded,
    Download,
    Evaluated,
    Metrics,
    Note,
    Outcome,
    Published,
    Registered,
    StageEvent,
    Tracking,
    Withdrawn,
)

RUN = [
    *("run", "platform", "workload", "state", "reason", "exit_code", "fault", "cause"),
    *("subject", "remedy", "created", "started", "ended"),
    *("stage", "step", "total", "unit", "download", "metrics", "machine", "processes", "checkpoint", "checkpoint_step"),
    *("published", "registered", "evaluated", "delivered", "tracking", "warnings", "notes", "next", "name", "note"),
]
LISTED = [
    *("run", "platform", "workload", "state", "reason", "exit_code", "created", "started", "ended"),
    *("step", "total", "unit", "loss", "scores", "conditions", "notes", "steps", "pipeline", "name", "note"),
    *("values", "parent"),
]
CHANGES = {
    "stage": "name state seconds detail",
    "tracking": "uri experiment_id run_id ui",
    "download": "done total rate",
    "metrics": "values step total unit",
    "checkpoint": "step path model",
    "published": "step to seconds file",
    "withdrawn": "to",
    "discarded": "step path",
    "registered": "name version step uri new replaced",
    "evaluated": "episodes scores results policy step passed conditions units better compared digest",
    "delivered": "to seconds",
    "note": "level text ways",
    "outcome": "state exit_code reason fault cause subject remedy",
    "state": "state reason exit_code started ended over",
}
EVENTS = [
    Download(done=1, total=2),
    StageEvent(name="work", state="started"),
    Tracking(uri="sqlite:///x", experiment_id="1", run_id="r", ui="mlflow ui"),
    Metrics(step=400, total=400, values={"train/loss": float("nan"), "val/loss": 0.5, "grad_norm": float("inf")}),
    Checkpoint(step=400, path="/x/000400"),
    Published(step=400, to="runs:/r/checkpoints/000400"),
    Withdrawn(to="runs:/r/checkpoints/000200"),
    Discarded(step=200, path="/x/000200"),
    Registered(name="act", version="3", step=400, uri="models:/act/3"),
    Evaluated(episodes=4, scores={"rollout/success_rate": 0.75, "replay/mse": float("nan")}, results="/x/results"),
    Delivered(to="runs:/r"),
    Note(level="warning", text="train/loss is not finite at step 400"),
    Outcome(state="failed", exit_code=1, reason="out of paint"),
]


@pytest.fixture(autouse=True)
def run(scripted):
    ended = {"state": "failed", "reason": "out of paint", "exit_code": 1, "started": 1e9, "ended": 1e9 + 60}
    made = scripted.run("train-1", 'say "oh"', *EVENTS, **ended)
    made.add_output("checkpoints/000400", step=400, digest="d" * 64)
    return made


def test_json_of_status(robotrain):
    answer = robotrain("status", "--json").json
    assert list(answer) == [*RUN, "steps", "shown", "log_end"]
    assert set(answer["published"][0]) == {"step", "to"}
    assert set(answer["registered"][0]) == {"name", "version", "step", "uri"}
    assert set(answer["tracking"]) == {"uri", "experiment_id", "run_id", "ui"}
    assert answer["metrics"] == {"train/loss": "nan", "val/loss": 0.5, "grad_norm": "inf"}
    assert (answer["checkpoint"], answer["checkpoint_step"]) == ("/x/000400", 400)
    assert answer["log_end"] == ['say "oh"']
    shown = {*CHANGES["evaluated"].split(), "successes", "tried"} - {"units", "better", "compared", "digest"}
    assert set(answer["evaluated"]) == shown
    assert (answer["evaluated"]["successes"], answer["evaluated"]["tried"]) == (None, None)  # a replay has episodes too
    assert answer["evaluated"]["scores"] == {"rollout/success_rate": 0.75, "replay/mse": "nan"}
    assert answer["delivered"] == ["runs:/r"]


def test_json_of_runs(robotrain):
    answer = robotrain("runs", "--json").json
    assert list(answer) == ["runs", "more"]
    assert list(answer["runs"][0]) == LISTED
    assert answer["runs"][0]["loss"] == "nan"
    assert answer["runs"][0]["scores"]["rollout/success_rate"] == 0.75


def test_json_of_wait(robotrain, scripted):
    assert list(robotrain("wait", "--json").json) == [*RUN, "steps"]
    scripted.run("train-2", state="succeeded")
    assert [list(run) for run in robotrain("wait", "train-1", "train-2", "--json").json] == [[*RUN, "steps"]] * 2


def test_json_of_watch(robotrain):
    answer = [json.loads(line) for line in robotrain("watch", "--json").stdout.splitlines()]
    assert {change["run"] for change in answer} == {"train-1"}
    assert {change["change"]: list(change) for change in answer} == {
        change: list(dict.fromkeys(["run", "change", "time", *keys.split()])) for change, keys in CHANGES.items()
    }


def test_json_of_trouble_in_watch(robotrain, run, run_later, monkeypatch):
    monkeypatch.setattr(follower, "POLL_SECONDS", 0.1)
    run.set_flag("raises", "bad gateway")
    run_later(run.wait_until_raised, (run.folder / "raises").unlink)
    answer = [json.loads(line) for line in robotrain("watch", "train-1", "--json").stdout.splitlines()]
    assert [list(change) for change in answer if change["change"] == "trouble"] == [["run", "change", "time", "text"]]


def test_json_of_logs(robotrain):
    answer = [json.loads(line) for line in robotrain("logs", "--json").stdout.splitlines()]
    assert answer[0] == {"line": 'say "oh"'}
    assert {record["event"]: set(record) for record in answer[1:]} == {
        kind: {"event", "time", *keys.split()} for kind, keys in CHANGES.items() if kind != "state"
    }


def test_json_of_cancel(robotrain, scripted):
    keys = ["run", "state", "was", "checkpoint", "checkpoint_step"]
    assert list(robotrain("cancel", "--json").json) == keys
    scripted.run("train-2")
    assert [list(run) for run in robotrain("cancel", "train-1", "train-2", "--json").json] == [keys, keys]


def test_json_of_outputs(robotrain, tmp_path):
    keys = ["name", "kind", "source", "uri", "step", "model", "digest", "size", "addresses", "path"]
    answer = robotrain("outputs", "--json").json
    assert list(answer) == ["run", "outputs"]
    assert list(answer["outputs"][0]) == keys
    assert answer["outputs"][0]["path"] is None
    brought = robotrain("outputs", "--json", "--to", tmp_path / "to").json
    assert brought["outputs"][0]["path"] == str(tmp_path / "to/checkpoints/000400")


JOB = ("--platform", "plain", "--dataset-path", "x")


def test_json_of_a_plan_and_of_a_submission(robotrain, plain_platform):
    for words in (("render",), ("submit", "--dry-run")):
        plan = robotrain(*words, *JOB, "--json").json
        assert [key for key in plan if key not in ("preview", "data")] == ["run", "platform", "digest", "spec", "files"]
        assert list(plan["files"][plan["spec"]]) == ["bytes", "sha256", "text"]
    submission = robotrain("submit", *JOB, "--json").json
    assert list(submission) == ["run", "platform", "job", "reference", "shown", "notes", "new", "data"]


@pytest.mark.parametrize("command", ["status", "logs", "watch"])
def test_json_of_a_problem(robotrain, command):
    answer = robotrain(command, "nosuch", "--json")
    assert answer.exit_code == 2
    (problem,) = answer.json["problems"]
    assert problem["code"] == "run-unknown"
