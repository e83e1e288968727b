"""Two machines that send the same job to one folder for runs: the second one records the run of the first."""

import pytest
from robotrain.store import records

PROGRAM = ("--", "python3", "train.py", "--lr", "3")
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


def test_run_of_the_first_machine_is_that_of_the_second_while_it_has_not_ended(submit, slurm):
    first = submit("first")
    second = submit("second")
    assert (second["run"], second["new"]) == (first["run"], False)
    assert len(slurm.read_jobs()) == 1


def test_run_that_has_ended_keeps_its_name_and_the_job_is_sent_again(submit, robotrain, slurm):
    first = submit("first")["run"]
    assert robotrain("cancel", first).exit_code == 0
    second = submit("second")
    assert (second["run"], second["new"]) == (f"{first[:-1]}2", True)
    assert {*records.list_runs()} == {first, second["run"]}
    assert submit("first")["run"] == second["run"], "it finds the newer run"
    assert len(slurm.read_jobs()) == 2


def test_dry_run_shows_the_next_name(submit, slurm):
    first = submit("first")["run"]
    assert submit("second", "--dry-run")["run"] == f"{first[:-1]}2"
    assert records.list_runs() == []


def test_plan_of_the_same_job_is_the_run_of_the_first_machine(submit, robotrain, job, slurm, tmp_path):
    plan = str(tmp_path / "plan")
    assert robotrain("render", *job, "--pin", "--to", plan, *PROGRAM).exit_code == 0
    first = submit("first")["run"]
    assert submit("second", "--plan", plan, "--dry-run")["run"] == first
    second = submit("second", "--plan", plan)
    assert (second["run"], second["new"]) == (first, False)
    assert len(slurm.read_jobs()) == 1


def test_new_is_another_run_and_leaves_that_of_the_first_machine_alone(submit, slurm):
    first = submit("first")["run"]
    assert submit("second", "--new")["run"] == f"{first[:-1]}2"
    assert records.list_runs() == [f"{first[:-1]}2"]
    assert len(slurm.read_jobs()) == 2


def test_run_folder_that_cannot_be_read_is_named_and_nothing_is_sent(submit, robotrain, job, slurm, tmp_path):
    run = submit("first")["run"]
    (tmp_path / "runs" / run / "job.json").write_text("{}")
    with pytest.raises(AssertionError, match="run-folder-taken"):
        submit("second")
    assert len(slurm.read_jobs()) == 1
    assert records.list_runs() == []
