"""A sweep is one job array: the values of every trial stand in the plan, and each trial has a folder of its own."""

import json
from pathlib import Path

import pytest
from planned_jobs import job
from problem_assertions import check_problems
from robotrain.model.reference import STEP_KEY
from robotrain.sweeps.space import list_trial_values
from robotrain_runtime.contract import trial_values
from robotrain_runtime.contract.document import Dimension
from robotrain_slurm.node import trial
from robotrain_slurm.platform import SLURM
from slurm_pipelines import ENGINE, SWEEP, make_sweep, make_sweep_spec, read_document, read_options
from slurm_stand_in import SlurmStandIn


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> SlurmStandIn:
    stand_in = SlurmStandIn(tmp_path / "slurm", monkeypatch)
    stand_in.cluster["nodes"]["n1"]["gres"] = "gpu:4"
    stand_in.configure()
    return stand_in


@pytest.fixture
def runs(tmp_path) -> Path:
    return tmp_path / "runs"


def test_each_trial_has_its_values_and_its_folder(runs):
    made = make_sweep(runs, at_most=2)
    options = read_options(made, "job.sbatch")
    assert {"array=1-3%2", f"output={runs}/{SWEEP}/trials/%a/slurm.txt", f"chdir={runs}/{SWEEP}"} <= {*options}
    for number in range(1, 4):
        document = read_document(made, f"trials/{number}")
        assert dict(document.parameters)["seed"] == number - 1
        assert [document.run, document.placement.work] == [f"{SWEEP}-trial-{number}", f"{runs}/{SWEEP}/trials/{number}"]
    assert "array=1-3" in read_options(make_sweep(runs, at_most=3), "job.sbatch")


def test_random_values_are_those_that_core_draws(runs):
    space = {
        "learning_rate": Dimension(low=1e-5, high=1e-2, log=True),
        "batch_size": Dimension(low=1, high=64, integer=True),
        "seed": Dimension(choices=(1, 2, 3)),
    }
    made = make_sweep(runs, 4, space=space, sampler="random", sampler_seed=3)
    documents = [read_document(made, f"trials/{number}") for number in range(1, 5)]
    drawn = [{name: dict(document.parameters)[name] for name in space} for document in documents]
    assert drawn == list_trial_values(space, "random", 4, 3)
    assert len({str(trial) for trial in drawn}) == 4
    assert make_sweep(runs, 4, space=space, sampler="random", sampler_seed=4).digest != made.digest


def test_values_of_a_trial_reach_the_runtime(runs):
    """Its document has them, of every kind, and the runtime needs no arguments."""
    space = {
        "learning_rate": Dimension(low=1e-5, high=1e-2, log=True),
        "seed": Dimension(choices=(1, 2)),
        "system_metrics": Dimension(choices=(True, False)),
        "policy_type": Dimension(choices=("act", "diffusion")),
    }
    document = read_document(make_sweep(runs, 2, space=space, sampler="random"), "trials/2")
    assert document.space.keys() == space.keys()
    assert trial_values.set_trial_values(document, ()) == document


def test_element_is_named_with_its_array(monkeypatch):
    """`scontrol requeue 12` starts all elements of the array 12 again, and 12 is also the number of its last one."""
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert trial.get_job_name() == "12"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert trial.get_job_name() == "12_3"


@pytest.mark.parametrize(
    "overrides",
    [
        {"settings": {"continuation": "node"}},
        {"jobs": (job(num_gpus=1), job(num_gpus=2))},
    ],
    ids=["continuation", "GPUs"],
)
def test_sweep_that_no_array_can_run_has_an_obstacle(runs, overrides):
    spec = make_sweep_spec(runs, **overrides)
    assert SLURM.plans.find_sweep_obstacle(spec)


def test_sweep_is_one_sbatch(slurm, runs):
    made = make_sweep(runs, at_most=1)
    reference = ENGINE.submit(made)
    assert [call[0] for call in slurm.read_calls()] == ["sbatch"]
    assert [job["id"] for job in slurm.read_jobs()] == ["1_1", "1_2", "1_3"]
    assert ENGINE.find(made) == reference
    slurm.clear_calls()
    slurm.set_state("1", "PENDING", "Priority")
    status, trials = ENGINE.query_pipeline(reference)
    assert (status.state, trials) == ("pending", [])
    assert "Priority" in status.reason
    assert [call[0] for call in slurm.read_calls()] == ["squeue"]


@pytest.mark.parametrize(("size", "most"), [(1001, None), (4, None), (3, 2), (0, 0)])
def test_array_above_the_limit_of_the_cluster_is_refused(slurm, runs, size, most):
    slurm.configure(array_size=size)
    problems = [problem for problem in ENGINE.preflight(make_sweep(runs)) if problem.severity == "error"]
    check_problems(problems, *([] if most is None else ["platform-refused"]))


def begin_trial(runs: Path, number: int, **outcome: object) -> None:
    """What a node writes when a trial begins, and when it ends."""
    folder = runs / SWEEP / "trials" / str(number)
    (folder / "taken").symlink_to(f"1_{number}:token:1")
    if outcome:
        (folder / "outcome.json").write_text(json.dumps(outcome))


def test_trials_are_told_apart(slurm, runs):
    reference = ENGINE.submit(make_sweep(runs))
    begin_trial(runs, 1, state="failed", exit_code=1, reason="loss is nan")
    begin_trial(runs, 2)
    slurm.set_state("1_1", "FAILED", "NonZeroExitCode")
    slurm.set_state("1_2", "RUNNING")
    status, trials = ENGINE.query_pipeline(reference)
    assert [(trial.name, trial.state) for trial in trials] == [("trial-1", "failed"), ("trial-2", "running")]
    assert not status.finished
    assert "trial-2" not in status.reason  # where a trial runs is told beside it
    assert ENGINE.status({**reference, STEP_KEY: "trial-2"}).state == "running"
    (runs / SWEEP / "trials/2/log.txt").write_text("hello\n")
    assert [*ENGINE.logs({**reference, STEP_KEY: "trial-2"}, False)] == ["hello"]


def test_sweep_that_slurm_has_forgotten_is_found_by_its_trials(slurm, runs):
    made = make_sweep(runs)
    reference = ENGINE.submit(made)
    begin_trial(runs, 2, state="succeeded", exit_code=0)
    slurm.forget("1")
    assert ENGINE.find(made) == reference


def test_cancel_ends_all_trials(slurm, runs):
    reference = ENGINE.submit(make_sweep(runs))
    ENGINE.cancel(reference)
    assert {job["state"] for job in slurm.read_jobs()} == {"CANCELLED"}
    status, trials = ENGINE.query_pipeline(reference)
    assert (status.state, {trial.state for trial in trials}) == ("cancelled", {"skipped"})
