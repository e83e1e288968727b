"""Two machines that send the same job to a workspace: its name is the same, and a workspace has one job of a name."""

import re
import time

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
def go_to(tmp_path, monkeypatch):
    """Go to another machine: `go_to("second")`."""
    return lambda machine: monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / machine))


@pytest.fixture
def submit(job, robotrain, go_to):
    """Submit the job from a machine, and return what `--json` says."""

    def run(machine: str, *words: str) -> dict:
        go_to(machine)
        answer = robotrain("submit", *job, "--json", *words)
        assert answer.exit_code == 0, answer.stderr
        return answer.json

    return run


@pytest.mark.parametrize("has_ended", [False, True])
def test_the_job_of_the_first_machine_is_refused_and_can_be_recorded(azureml, submit, robotrain, job, go_to, has_ended):
    first = submit("first")
    if has_ended:
        robotrain("cancel", first["run"]).check(0)
    go_to("second")
    answer = robotrain("submit", *job)
    answer.check_problems(1, "run-name-taken")
    adopt = f"robotrain adopt --platform azureml {first['reference']['job']}"
    assert (adopt in answer.stderr, "--new" in answer.stderr) == (True, True)
    assert (records.list_runs(), len(azureml.jobs)) == ([], 1)


def test_new_is_another_job_beside_that_of_the_first_machine(azureml, submit):
    first = submit("first")["run"]
    assert submit("second", "--new")["run"] == f"{first[:-1]}2"
    assert len(azureml.jobs) == 2


def list_whole(azureml) -> list[str]:
    """Return the jobs that are neither trials nor steps of another one."""
    return [name for name in azureml.jobs if re.fullmatch(r".*-[0-9a-f]{6}", name)]


STEPS = """
name: shift
steps:
  train:
    workload: lerobot-train
    sources: {dataset: [{data_asset: "azureml:episodes:3"}]}
    parameters: {training_steps: 2}
  evaluate:
    workload: lerobot-eval
    sources: {policy: [{from: train}], dataset: [{data_asset: "azureml:episodes:3"}]}
"""


def test_pipeline_of_the_first_machine_is_not_doubled(azureml, robotrain, job, go_to, tmp_path, name_workspace):
    name_workspace(azureml, "k8s-robot-dev-00")
    file = tmp_path / "pipeline.yaml"
    file.write_text(STEPS)
    words = ("pipeline", "submit", file, "--native-only", "--platform", "azureml")
    go_to("first")
    first = robotrain(*words, "--json")
    assert first.exit_code == 0, first.stderr
    go_to("second")
    answer = robotrain(*words, "--name", "second")
    answer.check_problems(1, "run-name-taken")
    assert ("--new" in answer.stderr, "adopt" in answer.stderr) == (True, False)
    assert records.list_runs() == []
    assert len(list_whole(azureml)) == 1
    assert robotrain(*words, "--new").exit_code == 0
    assert len(list_whole(azureml)) == 2


@pytest.mark.slow
def test_sweep_that_another_machine_drives_is_refused_and_sends_no_trial(azureml, robotrain, job, go_to):
    over = ("--over", "learning_rate=1e-5,1e-3", "--at-most", "1")
    words = ("sweep", "lerobot-train", *job, *over, "--json")
    until = time.monotonic() + 120
    for machine in ("first", "second"):
        go_to(machine)
        run = robotrain(*words).json["run"]
        while (step := robotrain("status", "--json").json["steps"][0])["state"] in ("waiting", "pending"):
            if machine == "first" and azureml.jobs:
                break  # sent, and not begun
            assert time.monotonic() < until, step
            time.sleep(0.1)
    robotrain("wait")
    status = robotrain("status", "--json").json
    assert [step["state"] for step in status["steps"]] == ["failed", "skipped"]
    (name,) = azureml.jobs
    assert name in status["reason"]
    go_to("first")
    robotrain("cancel", run)
