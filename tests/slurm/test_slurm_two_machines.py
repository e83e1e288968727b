"""Two machines that send the same job to one folder for runs: the second one records the run of the first."""

import pytest
from robotrain.store import records

WORDS = ("--gpus", "0", "--num-gpus", "0", "--cpus", "1", "--memory", "1G", "--time", "10m")


@pytest.fixture
def submit(robotrain, slurm, tmp_path, monkeypatch):
    """Submit the job from a machine, and return what `--json` says."""

    def run(machine: str, *words: str) -> dict:
        monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / machine))
        folders = ("--runs-dir", tmp_path / "runs", "--cache-dir", tmp_path / "cache")
        given = ("--platform", "slurm", *folders, *WORDS, "--json", *words)
        answer = robotrain("submit", "command", *given, "--", "python3", "train.py", "--lr", "3")
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
