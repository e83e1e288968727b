"""A sweep that the engine of its platform runs: one run, its trials as the engine tells them, and the best one."""

import json
from pathlib import Path

import pytest
from fake_engine import set_run_state
from robotrain.store import records
from robotrain.store.plans import read_stored_plan
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Checkpoint, Metrics, Track

JOB = Path(__file__).parents[2] / "examples/pusht-mini/job.yaml"
GRID = ("--over", "learning_rate=1e-5,1e-4", "--over", "seed=1..2")


@pytest.fixture
def sweep(dag_platform, robotrain):
    """`robotrain sweep` of the example's job on dag."""
    return lambda *options: robotrain("sweep", JOB, "--platform", "dag", *options)


@pytest.fixture
def run(sweep) -> str:
    """The run of a submitted sweep of four trials, two at a time."""
    answer = sweep(*GRID, "--at-most", "2", "-r", "pusht-act", "--json")
    assert answer.exit_code == 0, answer.stderr
    return answer.json["run"]


@pytest.fixture
def reach(dag_platform):
    """Set what the engine says of a sweep and its trials."""

    def write(run: str, state: str, *trials: object) -> None:
        set_run_state(dag_platform, run, state)
        states = {f"trial-{number}": trial for number, trial in enumerate(trials, 1)}
        (dag_platform / f"{run}.steps.json").write_text(json.dumps(states))

    return write


def trial(state: str, rate: float, seed: int, loss: float | None = None) -> dict[str, object]:
    lines = [event.format_event(Track(params={"learning_rate": rate, "seed": seed}))]
    if loss is not None:
        lines.append(event.format_event(Metrics(values={"val/loss": loss}, step=20)))
        lines.append(event.format_event(Checkpoint(step=20, path="/checkpoints/000020")))
    return {"state": state, "log": ["loading", *lines]}


def read_spec(run: str) -> dict:
    return json.loads(read_stored_plan(run).plan.files["sweep.json"])


def test_a_platform_without_an_engine_refuses_native_only(robotrain, fake_platform):
    robotrain("sweep", JOB, "--platform", "fake", *GRID, "--native-only").check_problems(3, "sweep-not-native")


def test_a_sweep_is_one_submission(run, dag_platform):
    assert [path.name for path in (dag_platform / "jobs").iterdir()] == [run]
    record = records.read_record(run)
    assert (record.native, record.steps) == (True, ("trial-1", "trial-2", "trial-3", "trial-4"))
    spec = read_spec(run)
    assert (spec["at_most"], spec["sampler"], spec["metric"], spec["better"]) == (2, "grid", "val/loss", "lower")
    assert {name: dimension["choices"] for name, dimension in spec["job"]["space"].items()} == {
        "learning_rate": [1e-5, 1e-4],
        "seed": [1, 2],
    }
    assert spec["job"]["parameters"]["register_checkpoint"] is None, "no trial registers"


def test_a_sweep_has_the_name_of_its_job_unless_it_is_named(run, sweep):
    assert records.read_record(run).name == "sweep-pusht-mini"
    named = sweep(*GRID, "--name", "rates", "--note", "which rate", "--json").json["run"]
    record = records.read_record(named)
    assert (record.name, record.note) == ("rates", "which rate")


def test_this_machine_need_not_stay_on(sweep):
    answer = sweep(*GRID, "--at-most", "2", "--native-only", "--dry-run")
    assert (answer.exit_code, "this machine" in answer.stderr) == (0, False)
    assert "dag chooses learning_rate, seed (grid)" in answer.stderr


def test_the_engine_chooses_random_values(sweep):
    words = ("--over", "learning_rate=log:1e-5..1e-2", "--over", "batch_size=uniform:2..9", "--over", "policy_type=act")
    answer = sweep(*words, "--sampler", "random", "--samples", "12", "--sampler-seed", "7", "--json")
    spec = read_spec(answer.json["run"])
    space = spec["job"]["space"]
    assert (spec["sampler"], spec["sampler_seed"], len(spec["trials"])) == ("random", 7, 12)
    assert (space["learning_rate"]["low"], space["learning_rate"]["log"]) == (1e-5, True)
    assert (space["batch_size"]["high"], space["batch_size"]["integer"]) == (9, True)
    assert space["policy_type"]["choices"] == ["act"]


def test_trials_have_the_states_of_the_engine_and_the_values_of_their_logs(run, reach, robotrain):
    waiting = {"state": "waiting"}
    reach(run, "running", trial("succeeded", 1e-4, 2, 0.3), trial("running", 1e-5, 1), {"state": "pending"}, waiting)
    sweep = robotrain("status", run, "--json").json["sweep"]
    assert [(trial["state"], trial["values"], trial["score"]) for trial in sweep["trials"]] == [
        ("succeeded", {"learning_rate": 1e-4, "seed": 2}, 0.3),
        ("running", {"learning_rate": 1e-5, "seed": 1}, None),
        ("pending", {}, None),
        ("waiting", {}, None),
    ]
    trials = [trial("succeeded", 1e-4, 2, 0.3), trial("succeeded", 1e-5, 1, 0.5)]
    reach(run, "succeeded", *trials, trial("succeeded", 1e-5, 2, 0.4), trial("succeeded", 1e-4, 1, 0.2))
    shown = robotrain("status", run).stdout
    assert "trial-4  learning_rate=0.0001 seed=1  val/loss 0.2" in shown
    assert f"robotrain register {run} --step trial-4 pusht-act" in shown
    assert "models:/pusht-act/trial-4" in robotrain("register", run, "pusht-act").stdout
    assert "models:/pusht-act/trial-2" in robotrain("register", run, "--step", "trial-2", "pusht-act").stdout
    assert robotrain("wait", run).exit_code == 0
    assert robotrain("logs", run, "--step", "trial-1").stdout.splitlines()[0] == "loading"


def test_the_log_of_an_ended_trial_is_read_once(run, reach, robotrain):
    reach(run, "running", trial("succeeded", 1e-4, 2, 0.3))
    robotrain("status", run)
    reach(run, "running", {"state": "succeeded", "log": []})
    trial_row = robotrain("status", run, "--json").json["sweep"]["trials"][0]
    assert (trial_row["values"], trial_row["score"]) == ({"learning_rate": 1e-4, "seed": 2}, 0.3)


def test_a_failed_trial_fails_the_sweep(run, reach, robotrain, dag_platform):
    failed = {"state": "failed", "reason": "no GPU"}
    reach(run, "succeeded", trial("succeeded", 1e-4, 2, 0.3), failed)
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["reason"]) == ("failed", "step trial-2 failed: no GPU")
    assert status["next"][0] == f"robotrain resubmit {run}"
    assert robotrain("wait", run).exit_code == 5
    again = robotrain("resubmit", run, "--json").json["run"]
    assert {path.name for path in (dag_platform / "jobs").iterdir()} == {run, again}
    assert read_spec(again)["job"]["space"] == read_spec(run)["job"]["space"]


def test_an_engine_runs_no_trial_again(run, reach, robotrain, dag_platform):
    reach(run, "running", trial("succeeded", 1e-4, 2, 0.3), {"state": "running"})
    robotrain("resume", run).check_problems(2, "run-goes-on")
    reach(run, "failed", trial("succeeded", 1e-4, 2, 0.3), {"state": "failed"})
    robotrain("resume", run).check_problems(2, "sweep-not-resumable")
    done = [trial("succeeded", rate, seed, 0.3) for rate in (1e-4, 1e-5) for seed in (1, 2)]
    reach(run, "succeeded", *done)
    robotrain("resume", run).check_problems(2, "pipeline-complete")
    assert len([*(dag_platform / "jobs").iterdir()]) == 1


def test_a_sweep_that_the_engine_cannot_run_is_driven_by_this_machine(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("points.csv").write_text("seed\n1\n2\n")
    sweep("--points", "points.csv", "--dry-run").check_problems(0, "sweep-not-native")
    for options in (
        ("--points", "points.csv"),
        ("--over", "slots=1,2"),
        ("--over", "job_name=a b,c"),
        ("--over", "seed=1,2", "--set", "slots=200"),
    ):
        sweep(*options, "--native-only").check_problems(3, "sweep-not-native")
    assert records.list_runs() == []
