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


def list_recorded() -> list[str]:
    return [records.read_record(run).reference["job"] for run in records.list_runs()]


def test_job_of_the_first_machine_is_the_run_of_the_second(azureml, submit):
    first = submit("first")
    second = submit("second", "--name", "pick-v3", "--note", "of the second machine")
    assert (second["run"], second["new"]) == (first["run"], False)
    assert list_recorded() == [*azureml.jobs]
    assert azureml.jobs[second["reference"]["job"]].body["displayName"] != "pick-v3", "it is the first machine's"
    assert sum(call.startswith("PUT") and "/jobs/" in call for call in azureml.calls) == 1


def test_job_that_has_ended_keeps_its_name_and_another_one_is_sent(azureml, submit, robotrain):
    first = submit("first")["run"]
    assert robotrain("cancel", first).exit_code == 0
    second = submit("second")
    assert (second["run"], second["new"]) == (f"{first[:-1]}2", True)
    assert {*list_recorded()} == {*azureml.jobs}
    assert submit("first")["run"] == second["run"], "it finds the newer run"


def test_plan_of_the_same_job_is_the_run_of_the_first_machine(azureml, submit, robotrain, job, go_to, tmp_path):
    plan = str(tmp_path / "plan")
    assert robotrain("render", *job, "--pin", "--to", plan).exit_code == 0
    first = submit("first")["run"]
    go_to("second")
    answer = robotrain("submit", "--plan", plan, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert (answer.json["run"], answer.json["new"]) == (first, False)
    assert len(azureml.jobs) == 1


def test_new_is_another_job_beside_that_of_the_first_machine(azureml, submit):
    first = submit("first")["run"]
    assert submit("second", "--new")["run"] == f"{first[:-1]}2"
    assert len(azureml.jobs) == 2


def test_job_that_cannot_be_recorded_here_is_named_and_nothing_is_sent(azureml, submit, robotrain, job, go_to):
    submit("first")
    go_to("second")
    azureml.fault(r"GET .*/datastores/workspaceblobstore\?", status=403, code="AuthorizationFailed")
    answer = robotrain("submit", *job, "--name", "second")
    answer.check_problems(1, "run-name-taken")
    assert "--new" in answer.stderr
    assert len(azureml.jobs) == 1
    assert records.list_runs() == []


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
    assert "is a pipeline or a sweep" in answer.stderr
    assert "--new" in answer.stderr
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
    status = robotrain("status", "--json").json
    assert [step["state"] for step in status["steps"]] == ["failed", "skipped"]
    (name,) = azureml.jobs
    assert f"another machine runs the same pipeline or sweep: its step {name}" in status["reason"]
    go_to("first")
    robotrain("cancel", run)
