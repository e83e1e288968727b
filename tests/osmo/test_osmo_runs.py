"""Rendered workflows run in pods, from the command line: a training, an evaluation, a pipeline of both."""

import json
import time
from pathlib import Path

import pytest
import untrained_policy
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
ROLLED = ("--env", "pusht", "--starts", "easy", "--env-steps", "5", "--episodes", "2", "--env-workers", "0")


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


@pytest.fixture(scope="session")
def trained(made_once) -> dict[str, bytes]:
    """The files of a policy, whose environment is built."""
    untrained_policy.environment()
    return untrained_policy.files(made_once("untrained-act", untrained_policy.save))


@pytest.mark.long
@pytest.mark.usefixtures("training_python")
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
    names = [output["name"] for output in robotrain("outputs", run, "--json").json["outputs"]]
    assert "dataset" in names
    assert any(name.endswith("000004") for name in names)
    written = osmo.objects(f"s3://robots/models/pusht/{workflow}")
    assert {"step.json", "policy/config.json", "policy/model.safetensors"} <= {*written}


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


@pytest.mark.long
@pytest.mark.usefixtures("training_python")
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


@pytest.mark.long
def test_a_policy_of_blob_storage_is_evaluated_published_and_registered_with_its_scores(
    robotrain, osmo, azure, workspace, pod, trained, tmp_path
):
    azure.blobs.put("evaluated", {f"policies/act/{name}": content for name, content in trained.items()})
    place, words = azure.url("evaluated", "results"), ("--pool", "default", "--gpus", "0", "--device", "cpu", *NAMED)
    sources = ("--policy-url", azure.url("evaluated", "policies/act"), "--publish-url", place, "-r", "evaluated")
    answer = robotrain("submit", "lerobot-eval", "--platform", "osmo", *words, *sources, *ROLLED, "--json")
    assert answer.exit_code == 0, answer.stderr
    run, (workflow,) = answer.json["run"], osmo.workflows
    assert osmo.run(workflow, environ=pod) == 0, robotrain("logs", run).stdout
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["step"], status["total"]) == ("succeeded", 2, 2)
    (results,) = robotrain("outputs", run, "--json").json["outputs"]
    assert (results["name"], results["uri"]) == ("eval_results", f"{place}/{run}")
    assert robotrain("outputs", run, "--to", str(tmp_path / "brought")).exit_code == 0
    evaluation = json.loads((tmp_path / "brought/eval_results/eval_results.json").read_text())
    assert [episode["steps"] for episode in evaluation["rollout"]["per_episode"]] == [5, 5]
    page = robotrain("report", run, "--to", str(tmp_path / "report.html"))
    assert page.exit_code == 0, page.stderr
    (version,) = versions(azure, "evaluated").values()
    assert version["tags"]["score_rollout_success_rate"] == f"{evaluation['rollout']['success_rate']:.6g}"
    later = robotrain("register", run, "later", "--json")
    assert later.exit_code == 0, later.stderr
    (other,) = versions(azure, "later").values()
    assert other["modelUri"] == version["modelUri"]
    unknown = {"checkpoint_sha256"}  # the seal went with the pod
    assert other["tags"] == {name: value for name, value in version["tags"].items() if name not in unknown}


def versions(azure, name: str) -> dict[str, dict]:
    (model,) = [model for at, model in azure.manager.there.models.items() if at.endswith(f"/{name}")]
    return model


def wait_for(osmo, workflow: str, task: str, status: str) -> None:
    until = time.monotonic() + 300
    while {row["name"]: row["status"] for row in osmo.workflows[workflow].tasks}[task] != status:
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.long
@pytest.mark.usefixtures("training_python")
def test_a_pipeline_of_one_workflow_trains_and_is_resumed_after_its_evaluation_lost_its_machine(
    robotrain, osmo, azure, workspace, pod, trained
):
    sources = upload_examples(azure, "piped", "pusht-mini")
    words = ("--platform", "osmo", "--pool", "default", "--gpus", "0", *NAMED, "-r", "pusher")
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
    assert status["reason"].startswith("step evaluate lost: a job of higher priority preempted it")
    states = {step["name"]: step["state"] for step in status["steps"]}
    assert states == {"train": "succeeded", "evaluate": "lost", "register": "skipped"}

    answer = robotrain("pipeline", "resume", run, "--json")
    assert answer.exit_code == 0, answer.stderr
    resumed = answer.json["run"]
    (again,) = set(osmo.workflows) - {first}
    tasks = {task["name"]: task for group in osmo.workflows[again].spec["groups"] for task in group["tasks"]}
    assert [tasks["evaluate"]["inputs"][-1]["task"], *tasks] == [f"{first}:train", "evaluate", "register"]
    assert osmo.run(again, environ=pod) == 0, robotrain("logs", resumed).stdout
    status = robotrain("status", resumed, "--json").json
    assert [status["state"], *(step["state"] for step in status["steps"])] == ["succeeded"] * 4
    assert [model["name"] for model in status["registered"]] == ["pusher"]
    names = [output["name"] for output in robotrain("outputs", resumed, "--json").json["outputs"]]
    assert any(name.startswith("train/") and name.endswith("000002") for name in names)
    assert "registering" in robotrain("logs", resumed, "--step", "register").stdout
    assert "registering" not in robotrain("logs", resumed, "--step", "evaluate").stdout


@pytest.mark.long
@pytest.mark.usefixtures("training_python")
def test_checkpoints_are_scored_by_one_task_after_the_training(robotrain, osmo, azure, workspace, pod, trained):
    sources = upload_examples(azure, "scored", "pusht-mini")
    words = ("--platform", "osmo", "--pool", "default", "--gpus", "0", *NAMED, *sources, *size_training(5, 2))
    answer = robotrain("submit", *words, "--json", "--evaluate-checkpoints", *ROLLED, *NETWORK)
    assert answer.exit_code == 0, answer.stderr
    run = answer.json["run"]
    (workflow,) = osmo.workflows
    groups = osmo.workflows[workflow].spec["groups"]
    assert [[task["name"] for task in group["tasks"]] for group in groups] == [["train"], ["evaluate"]]
    assert osmo.run(workflow, environ=pod) == 0, robotrain("logs", run).stdout
    table = robotrain("status", run, "--json").json["checkpoint_scores"]
    assert [row["step"] for row in table["checkpoints"]] == [2, 4, 5]
    assert all(row["scores"]["rollout/episodes"] == 2 and row["loss"] is not None for row in table["checkpoints"])
    assert (table["metric"], table["best"]) == ("rollout/success_rate", 5)
    answer = robotrain("register", run, "scored", "--best", "--json")
    assert answer.exit_code == 0, answer.stderr
    (version,) = versions(azure, "scored").values()
    assert version["tags"]["checkpoint"] == "000005"
    assert "score_rollout_success_rate" in version["tags"]
