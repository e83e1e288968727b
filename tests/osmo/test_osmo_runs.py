"""A rendered workflow runs in pods, from the command line: a training that is preempted."""

import time
from pathlib import Path

import pytest
from azure_stand_in.fixtures import azure, azure_session, workspace, workspace_session
from azure_stand_in.manager import GROUP, SUBSCRIPTION

__all__ = ["azure", "azure_session", "workspace", "workspace_session"]

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
NETWORK = (
    "--",
    *(f"--policy.{option}" for option in ("chunk_size=8", "n_action_steps=4", "dim_model=32", "n_heads=2")),
)
NAMED = ("--subscription-id", SUBSCRIPTION, "--resource-group", GROUP, "--workspace-name", "robots-ml")


def size_training(steps: int, save_every: int) -> tuple[str, ...]:
    """A training that one core does in seconds."""
    every = ("--training-steps", str(steps), "--save-freq", str(save_every), "--log-freq", "1")
    return (*every, "--batch-size", "4", "--device", "cpu")


def upload_examples(azure, box: str, *examples: str) -> list[str]:
    for example in examples:
        folder = EXAMPLES / example / "dataset"
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
        azure.blobs.put(box, {f"{example}/{name}": content for name, content in files.items()})
    return [word for example in examples for word in ("--blob-url", azure.url(box, example))]


@pytest.mark.long
@pytest.mark.usefixtures("training_python")
def test_a_preempted_training_goes_on_and_its_last_checkpoint_becomes_a_model(robotrain, osmo, azure, workspace, pod):
    sources = upload_examples(azure, "preempted", "pusht-mini")
    words = ("--pool", "default", "--gpus", "0", "-r", "pusher", "--publish-url", azure.url("preempted", "run"))
    answer = robotrain(
        "submit", "--platform", "osmo", *words, *NAMED, *sources, *size_training(200, 20), "--json", *NETWORK
    )
    assert answer.exit_code == 0, answer.stderr
    run = answer.json["run"]
    osmo.configure(max_retry_per_task=1)
    (workflow,) = osmo.workflows
    running = osmo.start(workflow, environ=pod)
    until = time.monotonic() + 120
    while " published to https" not in robotrain("logs", run).stdout:
        assert time.monotonic() < until, robotrain("logs", run).stdout
        time.sleep(0.2)
    osmo.reschedule(workflow)
    assert running.wait(180) == 0, robotrain("logs", run).stdout
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["step"]) == ("succeeded", 200)
    log = robotrain("logs", run).stdout
    assert "of an earlier attempt, restored from" in log
    assert log.count(" registered as pusher, version 1") == 1
    models = azure.manager.there.models
    (versions,) = [model for name, model in models.items() if name.endswith("/pusher")]
    assert [version["tags"]["checkpoint"] for version in versions.values()] == ["000200"]
