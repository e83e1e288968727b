"""Two machines that send the same job to one folder for runs: the second one is refused."""

import json
import os
import subprocess
import sys
import time

import pytest
from robotrain.pipelines import progress
from robotrain.store import records

PROGRAM = ("--", "python3", "/opt/train.py", "--lr", "3")
WORDS = ("--gpus", "0", "--num-gpus", "0", "--cpus", "1", "--memory", "1G", "--time", "10m")


@pytest.fixture
def job(slurm, tmp_path):
    """Return the words of the job, which ends with those of its program."""
    folders = ("--runs-dir", tmp_path / "runs", "--cache-dir", tmp_path / "cache")
    return ("command", "--platform", "slurm", *folders, *WORDS)


@pytest.fixture
def submit(robotrain, job, tmp_path, monkeypatch):
    """Submit the job from a machine, and return what `--json` says."""

    def run(machine: str, *words: str) -> dict:
        monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / machine))
        answer = robotrain("submit", "--json", *(words if "--plan" in words else (*job, *words, *PROGRAM)))
        assert answer.exit_code == 0, answer.stderr
        return answer.json

    return run


@pytest.mark.parametrize("has_ended", [False, True])
def test_the_job_of_the_first_machine_is_refused_and_can_be_recorded(
    submit, robotrain, job, slurm, tmp_path, has_ended
):
    first = submit("first")["run"]
    if has_ended:
        robotrain("cancel", first).check(0)
    for words in ((), ("--dry-run",)):
        with pytest.raises(AssertionError, match="run-folder-taken"):
            submit("second", *words)
    adopt = f"robotrain adopt --platform slurm {tmp_path}/runs/{first}"
    answer = robotrain("submit", *job, *PROGRAM)
    assert (adopt in answer.stderr, "--new" in answer.stderr) == (True, True)
    assert records.list_runs() == []
    robotrain(*adopt.split()[1:]).check(0)
    assert records.list_runs() == [first]
    assert len(slurm.read_jobs()) == 1


def test_plan_of_the_job_of_the_first_machine_is_refused(submit, robotrain, job, slurm, tmp_path):
    plan = str(tmp_path / "plan")
    assert robotrain("render", *job, "--pin", "--to", plan, *PROGRAM).exit_code == 0
    submit("first")
    with pytest.raises(AssertionError, match="--attempt N"):
        submit("second", "--plan", plan)
    assert len(slurm.read_jobs()) == 1


def test_new_is_another_run_and_leaves_that_of_the_first_machine_alone(submit, slurm):
    first = submit("first")["run"]
    assert submit("second", "--new")["run"] == f"{first[:-1]}2"
    assert records.list_runs() == [f"{first[:-1]}2"]
    assert len(slurm.read_jobs()) == 2


SWEEP = ("--over", "lr=1,9", "--at-most", "1")
METRIC = ("--compare-by", "loss", "--metric", "loss:min=loss ([0-9.]+)")


@pytest.fixture
def sweep(job):
    """Return the words of a sweep that this machine drives."""
    workload, *words = job
    return ("sweep", workload, *words, *SWEEP, *METRIC, "--json", "--", "python3", "/opt/train.py", "--lr", "{lr}")


@pytest.fixture
def go_to(robotrain, tmp_path, monkeypatch):
    """Go to another machine; at the end what all of them drive is cancelled."""
    folders = set()

    def go(machine: str) -> None:
        folders.add(machine)
        monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / machine))

    yield go
    for machine in folders:
        go(machine)
        for run in records.list_runs():
            robotrain("cancel", run)


def list_steps(run: str) -> list[progress.StepState]:
    run_progress = progress.read_progress(run)
    return [*run_progress.steps.values()] if run_progress else []


def wait_for_first_step(run: str) -> progress.StepState:
    """Wait until the first step of a sweep was sent or refused, and return its state."""
    until = time.monotonic() + 60
    while not (steps := list_steps(run)) or steps[0].state in ("waiting", "pending"):
        assert time.monotonic() < until, steps
        time.sleep(0.05)
    return steps[0]


@pytest.mark.slow
def test_sweep_that_another_machine_drives_is_refused_and_sends_no_trial(slurm, robotrain, sweep, go_to):
    go_to("first")
    run = robotrain(*sweep).json["run"]
    job = wait_for_first_step(run).run
    go_to("second")
    answer = robotrain(*sweep)
    answer.check_problems(4, "run-folder-taken")
    assert slurm.read_jobs()[0]["folder"] in answer.stderr
    assert [queued["name"] for queued in slurm.read_jobs()] == [job]
    again = robotrain(*sweep[: sweep.index("--json")], "--new", *sweep[sweep.index("--json") :]).json["run"]
    assert wait_for_first_step(again).state == "running"
    assert len(slurm.read_jobs()) == 2, "--new says that both are wanted"


@pytest.mark.slow
def test_of_two_sweeps_sent_at_once_each_trial_is_sent_once(slurm, sweep, go_to, tmp_path):
    program = (sys.executable, "-m", "robotrain", *map(str, sweep))
    places = [{**os.environ, "ROBOTRAIN_STATE": str(tmp_path / machine)} for machine in ("first", "second")]
    pipe = subprocess.PIPE
    sent = [subprocess.Popen(program, env=place, stdout=pipe, stderr=pipe) for place in places]
    runs = [json.loads(process.communicate(timeout=120)[0])["run"] for process in sent]
    states = []
    for machine, run in zip(("first", "second"), runs, strict=True):
        go_to(machine)
        states.append(wait_for_first_step(run).state)
    assert sorted(states) in (["failed", "running"], ["running", "running"]), "the second is refused, or joins"
    assert len(slurm.read_jobs()) == 1
