"""A training on two nodes: the tasks of a group run in pods of their own, and the lead publishes."""

import time

import pytest
from azure_stand_in.fixtures import azure, azure_session
from test_osmo_runs import NETWORK, size_training, upload_examples

__all__ = ["azure", "azure_session"]

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.usefixtures("training_python")]

NODES = ("--pool", "default", "--tracking-uri", "none", "--gpus", "0", "--num-nodes", "2")


@pytest.fixture
def submit(robotrain, osmo, azure):
    """Submit a training on two nodes that publishes to a container; return the run and the workflow."""

    def submit(container: str, *words: str) -> tuple[str, str]:
        sources = upload_examples(azure, container, "pusht-mini")
        place = ("--publish-url", azure.url(container, "runs/first"))
        answer = robotrain("submit", "--platform", "osmo", *NODES, *sources, *place, *words, "--json", *NETWORK)
        assert answer.exit_code == 0, answer.stderr
        (workflow,) = osmo.workflows
        return answer.json["run"], workflow

    return submit


def wait_for_line(robotrain, run: str, text: str) -> None:
    until = time.monotonic() + 240
    while text not in (log := robotrain("logs", run).stdout):
        assert time.monotonic() < until, log
        time.sleep(0.5)


def test_group_trains_to_the_last_step_and_the_lead_publishes(robotrain, osmo, pod, submit):
    run, workflow = submit("groups", *size_training(4, 2))
    assert osmo.run(workflow, environ=pod) == 0, robotrain("logs", run).stdout
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["step"], status["checkpoint_step"]) == ("succeeded", 4, 4)
    assert status["processes"] == {"count": 2, "nodes": 2, "samples": 8}
    names = [output["name"] for output in robotrain("outputs", run, "--json").json["outputs"]]
    assert [name.rpartition("/")[2] for name in names] == ["000002", "000004"]
    other = robotrain("logs", run, "--task", "lerobot-train-node-1").stdout
    assert "node 1: work started" in other  # how it ends is a race: the group ends with its lead
    assert "published" not in other


def test_preempted_node_lets_the_group_go_on_from_the_last_checkpoint(robotrain, osmo, pod, submit):
    run, workflow = submit("lost", *size_training(40, 4))
    osmo.configure(max_retry_per_task=3)
    running = osmo.start(workflow, environ=pod)
    wait_for_line(robotrain, run, " published to https")
    running.members["lerobot-train-node-1"].preempt()
    assert running.wait(400) == 0, robotrain("logs", run).stdout
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["step"], status["checkpoint_step"]) == ("succeeded", 40, 40)
    assert "resuming from step" in robotrain("logs", run).stdout


def test_node_that_fails_is_named(robotrain, osmo, pod, submit):
    run, workflow = submit("failing", *size_training(4000, 4000))
    running = osmo.start(workflow, environ=pod)
    wait_for_line(robotrain, run, ": train/loss")  # of steps that follow quickly, not each has a line
    running.members["lerobot-train-node-1"].kill()
    assert running.wait(240) != 0
    status = robotrain("status", run, "--json").json
    assert status["state"] == "failed"
    assert status["reason"].startswith("node 1: "), status["reason"]
