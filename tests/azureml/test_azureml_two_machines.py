"""Two machines that send the same job to a workspace: its name is the same, and a workspace has one job of a name."""

import pytest
from azureml_workspace_plans import add_dataset
from robotrain.store import records


@pytest.fixture
def job(azureml):
    """Return the words of the job."""
    azureml.kubernetes()
    azureml.data("episodes", 3, add_dataset(azureml, "episodes/3"))
    words = ("--dataset-asset", "azureml:episodes:3", "--training-steps", "10", "--compute", "k8s-robot-dev-00")
    return ("--platform", "azureml", *words, *azureml.options)


@pytest.fixture
def submit(job, robotrain, tmp_path, monkeypatch):
    """Submit the job from a machine, and return what `--json` says."""

    def run(machine: str, *words: str) -> dict:
        monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / machine))
        answer = robotrain("submit", *job, "--json", *words)
        assert answer.exit_code == 0, answer.stderr
        return answer.json

    return run


def list_recorded() -> list[str]:
    return [records.read_record(run).reference["job"] for run in records.list_runs()]


def test_job_of_the_first_machine_is_the_run_of_the_second(azureml, submit):
    first = submit("first")
    second = submit("second", "--name", "pick-v3", "--note", "of the second machine")
    assert (second["run"], second["new"]) == (first["run"], False)
    assert list_recorded() == [*azureml.jobs]


def test_job_that_has_ended_keeps_its_name_and_another_one_is_sent(azureml, submit, robotrain):
    first = submit("first")["run"]
    assert robotrain("cancel", first).exit_code == 0
    second = submit("second")
    assert (second["run"], second["new"]) == (f"{first[:-1]}2", True)
    assert {*list_recorded()} == {*azureml.jobs}
    assert submit("first")["run"] == second["run"], "it finds the newer run"


def test_workspace_that_does_not_tell_now_gets_no_second_job(azureml, submit, robotrain, job, monkeypatch, tmp_path):
    submit("first")
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "second"))
    azureml.fault(r"GET .*/jobs/[^/?]+\?", status=429, code="TooManyRequests")
    answer = robotrain("submit", *job, "--name", "second")
    answer.check_problems(1, "platform-away")
    assert len(azureml.jobs) == 1


def test_of_two_at_the_same_moment_the_workspace_takes_one(azureml, submit):
    first = submit("first")["run"]
    azureml.fault(
        r"GET .*/jobs/[^/?]+\?", times=1, status=404, code="UserError"
    )  # asked before the first one was there
    assert submit("second")["run"] == first
    assert list_recorded() == [*azureml.jobs]
