"""A pipeline in pods, from the command line: a policy is trained, evaluated and registered by one workflow."""

import os
import time

import pytest
import untrained_policy
from azure_stand_in.fixtures import azure, azure_session, workspace, workspace_session
from azure_stand_in.manager import GROUP, SUBSCRIPTION
from test_osmo_trains import NETWORK, size_training, upload_examples

__all__ = ["azure", "azure_session", "workspace", "workspace_session"]

pytestmark = [pytest.mark.slow, pytest.mark.long]

NAMED = ("--subscription-id", SUBSCRIPTION, "--resource-group", GROUP, "--workspace-name", "robots-ml")


@pytest.fixture
def pod(azure, data_python, training_python, tmp_path, monkeypatch):
    """What a container of the cluster has: an identity, the way to Azure, and the environments of its image."""
    untrained_policy.environment()
    for name, value in azure.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    baked = data_python.parents[3]
    monkeypatch.setenv("ROBOTRAIN_BAKED", str(baked))
    return {**azure.environ, "ROBOTRAIN_BAKED": str(baked), "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]}


def wait_for(osmo, workflow: str, task: str, status: str) -> None:
    until = time.monotonic() + 300
    while {one["name"]: one["status"] for one in osmo.workflows[workflow].tasks}[task] != status:
        assert time.monotonic() < until
        time.sleep(0.2)


def test_a_pipeline_of_one_workflow_trains_and_is_resumed_after_its_evaluation_lost_its_machine(
    robotrain, osmo, azure, workspace, pod
):
    sources = upload_examples(azure, "piped", "pusht-mini")
    words = ("--platform", "osmo", "--pool", "default", "--gpus", "0", *NAMED, "-r", "pusher", "--skip-wait")
    publish = ("--publish-url", azure.url("piped", "runs"), "--native-only", "--json")
    answer = robotrain(
        "pipeline", "train-eval", *words, *sources, *publish, *size_training(2, 2), "--eval-episodes", "1", *NETWORK
    )
    assert answer.exit_code == 0, answer.stderr
    run = answer.json["run"]
    (first,) = osmo.workflows
    running = osmo.start(first, environ=pod)
    wait_for(osmo, first, "evaluate", "RUNNING")
    osmo.reschedule(first)
    assert running.wait(60) == 3006
    status = robotrain("status", run, "--json").json
    assert status["state"] == "failed"
    assert status["reason"].startswith("step evaluate failed: a job of higher priority preempted it")
    states = {one["name"]: one["state"] for one in status["steps"]}
    assert states == {"train": "succeeded", "evaluate": "failed", "register": "skipped"}

    answer = robotrain("pipeline", "resume", run, "--json")
    assert answer.exit_code == 0, answer.stderr
    resumed = answer.json["run"]
    (again,) = set(osmo.workflows) - {first}
    tasks = {task["name"]: task for group in osmo.workflows[again].spec["groups"] for task in group["tasks"]}
    assert [tasks["evaluate"]["inputs"][-1]["task"], *tasks] == [f"{first}:train", "evaluate", "register"]
    assert osmo.run(again, environ=pod) == 0, robotrain("logs", resumed).stdout
    status = robotrain("status", resumed, "--json").json
    assert [status["state"], *(one["state"] for one in status["steps"])] == ["succeeded"] * 4
    assert [one["name"] for one in status["registered"]] == ["pusher"]
    names = [one["name"] for one in robotrain("outputs", resumed, "--json").json["outputs"]]
    assert any(name.startswith("train/") and name.endswith("000002") for name in names)
    assert "registering" in robotrain("logs", resumed, "--step", "register").stdout
    assert "registering" not in robotrain("logs", resumed, "--step", "evaluate").stdout
