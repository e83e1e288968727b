"""Two machines of one user that send the same job: OSMO takes both, and the second one is warned."""

import json
import os
import subprocess
import time

import pytest
from problem_assertions import check_problems
from robotrain.store import records

JOB = (
    *("submit", "--platform", "osmo", "--pool", "default", "-d", f"lerobot/pusht@{'a' * 40}"),
    *("--training-steps", "10", "--tracking-uri", "none", "--no-pin"),
)
PIPELINE = """
steps:
  train:
    workload: lerobot-train
    sources: {dataset: [{blob_url: "https://account1.blob.core.windows.net/sets/pusht"}]}
    platforms: {osmo: {tracking_uri: "https://mlflow.example"}}
    parameters: {register_checkpoint: pusht-act}
"""


@pytest.fixture
def other_machine(tmp_path, monkeypatch):
    """Go to another machine: `other_machine()`."""
    return lambda: monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "other"))


def test_second_machine_is_warned_of_the_workflow_of_the_first(osmo, robotrain, other_machine):
    run = robotrain(*JOB, "--json").json["run"]
    other_machine()
    answer = robotrain(*JOB, "--json")
    assert (answer.json["run"], answer.json["new"]) == (run, True)
    check_problems(answer.stderr, "run-sent-elsewhere")
    assert f"robotrain adopt --platform osmo {run}-1" in answer.stderr
    assert records.read_record(run).reference["workflow"] == f"{run}-2"
    listed = [words for words in osmo.calls if words[:2] == ["workflow", "list"]]
    assert len(listed) == 4, "each submit lists the workflows of its name before and after"


@pytest.mark.parametrize("has_ended", [True, False], ids=["it has ended", "--new"])
def test_nothing_is_said_of_a_workflow_that(osmo, robotrain, other_machine, has_ended):
    run = robotrain(*JOB, "--json").json["run"]
    if has_ended:
        osmo.set_state(f"{run}-1", status="COMPLETED")
    other_machine()
    answer = robotrain(*JOB, *(() if has_ended else ("--new",)), "--json")
    assert (answer.json["run"], answer.json["new"]) == (run, True)
    check_problems(answer.stderr)


def test_pipeline_of_another_machine_is_named_too(osmo, robotrain, other_machine, tmp_path, monkeypatch):
    monkeypatch.setenv("OSMO_POOL", "default")
    file = tmp_path / "pipeline.yaml"
    file.write_text(PIPELINE)
    words = ("pipeline", "submit", file, "--platform", "osmo", "--json")
    run = robotrain(*words).json["run"]
    other_machine()
    answer = robotrain(*words)
    assert answer.json["new"]
    assert "[run-sent-elsewhere]" in answer.stderr
    assert f"{run}-1" in answer.stderr
    assert "robotrain adopt" not in answer.stderr, "a pipeline cannot be recorded"


@pytest.mark.slow
def test_of_two_machines_that_submit_at_the_same_moment_the_second_is_warned(osmo, command, tmp_path):
    osmo.fail("workflow submit", "slow", times=2, seconds=2.0)
    homes = [dict(os.environ, ROBOTRAIN_STATE=str(tmp_path / name)) for name in ("one", "two")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    submits = [subprocess.Popen([*command, *JOB, "--json"], env=home, **pipes) for home in homes]
    answers = [process.communicate(timeout=60) for process in submits]
    workflows = [json.loads(stdout)["reference"]["workflow"] for stdout, _ in answers]
    warned = {name: "[run-sent-elsewhere]" in stderr for name, (_, stderr) in zip(workflows, answers, strict=True)}
    first, second = sorted(osmo.workflows)
    assert warned == {first: False, second: True}, answers


def test_interrupted_submit_never_takes_the_workflow_of_another_machine(osmo, robotrain, other_machine):
    osmo.fail("workflow submit", "html")  # and OSMO has nothing
    assert robotrain(*JOB).exit_code == 1
    here = os.environ["ROBOTRAIN_STATE"]
    other_machine()
    first = robotrain(*JOB, "--json").json["reference"]["workflow"]
    os.environ["ROBOTRAIN_STATE"] = here
    answer = robotrain(*JOB, "--json")
    assert answer.json["reference"]["workflow"] != first
    assert f"as {first}, which has not ended" in answer.stderr


@pytest.mark.slow
def test_sweep_that_another_machine_drives_is_named_at_its_trial(osmo, robotrain, other_machine):
    over = ("--over", "learning_rate=1e-5,1e-3", "--at-most", "1")
    words = ("sweep", "lerobot-train", *JOB[1:], *over, "--json")

    def wait_for_trial() -> dict:
        until = time.monotonic() + 60
        while not (trial := robotrain("status", "--json").json["steps"][0])["reason"]:
            assert time.monotonic() < until, trial
            time.sleep(0.1)
        return trial

    run = robotrain(*words).json["run"]
    job = wait_for_trial()["run"]
    other_machine()
    assert robotrain(*words).json["new"]
    trial = wait_for_trial()
    assert f"another machine sent this job before, as {job}-1, which has not ended" in trial["reason"]
    robotrain("cancel", run)
