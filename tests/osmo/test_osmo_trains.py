"""A training in a pod, from the command line: the rendered workflow runs."""

import os
import time
from pathlib import Path

import pytest
from azure_stand_in.fixtures import azure, azure_session, workspace, workspace_session
from azure_stand_in.manager import GROUP, SUBSCRIPTION

__all__ = ["azure", "azure_session", "workspace", "workspace_session"]

pytestmark = [pytest.mark.slow, pytest.mark.long]

EXAMPLES = Path(__file__).parents[2] / "examples"
NETWORK = ("--", *(f"--policy.{one}" for one in ("chunk_size=8", "n_action_steps=4", "dim_model=32", "n_heads=2")))


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


@pytest.fixture
def pod(azure, data_python, training_python, tmp_path, monkeypatch):
    """What a container of the cluster has: an identity, the way to Azure, and the environments as its image bakes them.

    The laptop that submits has its own identity.
    """
    for name, value in azure.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    baked = data_python.parents[3]
    monkeypatch.setenv("ROBOTRAIN_BAKED", str(baked))
    return {**azure.environ, "ROBOTRAIN_BAKED": str(baked), "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]}


def test_two_prefixes_train_in_a_pod_and_publish(robotrain, osmo, azure, pod, tmp_path):
    sources = upload_examples(azure, "osmo", "pusht-mini", "pusht-more")
    place = ("--publish-url", azure.url("osmo", "runs/first"), "--publish-dataset", "models/pusht")
    place += ("--buckets", "models=s3://robots/models")
    words = ("--pool", "default", "--tracking-uri", "none", "--gpus", "0")
    answer = robotrain(
        "submit", "--platform", "osmo", *words, *sources, *place, *size_training(4, 2), "--json", *NETWORK
    )
    assert answer.exit_code == 0, answer.stderr
    run = answer.json["run"]
    (workflow,) = osmo.workflows
    assert osmo.run(workflow, environ=pod) == 0, robotrain("logs", run).stdout
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["step"]) == ("succeeded", 4)
    names = [one["name"] for one in robotrain("outputs", run, "--json").json["outputs"]]
    assert "dataset" in names
    assert any(name.endswith("000004") for name in names)
    written = osmo.objects(f"s3://robots/models/pusht/{workflow}")
    assert {"step.json", "policy/config.json", "policy/model.safetensors"} <= {*written}


def test_a_preempted_training_goes_on_and_its_last_checkpoint_becomes_a_model(robotrain, osmo, azure, workspace, pod):
    sources = upload_examples(azure, "preempted", "pusht-mini")
    named = ("--subscription-id", SUBSCRIPTION, "--resource-group", GROUP, "--workspace-name", "robots-ml")
    words = ("--pool", "default", "--gpus", "0", "-r", "pusher", "--publish-url", azure.url("preempted", "run"))
    answer = robotrain(
        "submit", "--platform", "osmo", *words, *named, *sources, *size_training(200, 20), "--json", *NETWORK
    )
    assert answer.exit_code == 0, answer.stderr
    run = answer.json["run"]
    osmo.limits(max_retry_per_task=1)
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
    (versions,) = [found for name, found in models.items() if name.endswith("/pusher")]
    assert [one["tags"]["checkpoint"] for one in versions.values()] == ["000200"]


def test_what_osmo_copied_to_storage_that_no_blob_url_names_is_gone_on_from(robotrain, osmo, azure, pod):
    sources = upload_examples(azure, "osmo", "pusht-mini")
    words = ("--pool", "default", "--tracking-uri", "none", "--gpus", "0", "--publish-url", "s3://robots/runs")
    first = robotrain("submit", "--platform", "osmo", *words, *sources, *size_training(4, 2), "--json", *NETWORK)
    assert first.exit_code == 0, first.stderr
    (workflow,) = osmo.workflows
    assert osmo.run(workflow, environ=pod) == 0, robotrain("logs", first.json["run"]).stdout
    again = robotrain("resume", first.json["run"], "--training-steps", "6", "--json")
    assert again.exit_code == 0, again.stderr
    run = again.json["run"]
    (other,) = osmo.workflows.keys() - {workflow}
    assert osmo.run(other, environ=pod) == 0, robotrain("logs", run).stdout
    log = robotrain("logs", run).stdout
    assert "resuming from step 4" in log
    assert robotrain("status", run, "--json").json["step"] == 6
    assert "checkpoints/000006/robotrain-checkpoint.json" in osmo.objects(f"s3://robots/runs/{other}")
