"""A pipeline continued after OSMO has removed the workflow that finished some of its steps."""

import pytest
from robotrain.store.plans import read_stored_plan
from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import parse_document
from robotrain_runtime.contract.event import Published

COPY = "https://account1.blob.core.windows.net/runs/x/000002"
STEPS = """
name: shift
steps:
  train:
    workload: lerobot-train
    sources: {dataset: [{blob_url: "https://account1.blob.core.windows.net/sets/pusht"}]}
    parameters: {training_steps: 2, save_freq: 1}
    platforms: {osmo: {tracking_uri: "https://mlflow.example"}}
  evaluate:
    workload: lerobot-eval
    sources: {policy: [{from: train}]}
    parameters: {env: pusht, eval_episodes: 4}
    platforms: {osmo: {tracking_uri: "https://mlflow.example"}}
  again:
    workload: lerobot-train
    sources: {dataset: [{blob_url: "https://account1.blob.core.windows.net/sets/pusht"}]}
    after: evaluate
"""


@pytest.fixture
def fail_evaluation(osmo, robotrain, tmp_path, monkeypatch):
    """Submit a pipeline whose evaluation fails: its run, and its workflow."""
    monkeypatch.setenv("OSMO_POOL", "default")
    file = tmp_path / "pipeline.yaml"
    file.write_text(STEPS)

    def fail(*lines: str) -> tuple[str, str]:
        sent = robotrain("pipeline", "submit", file, "--platform", "osmo", "--json")
        assert sent.exit_code == 0, sent.stderr
        workflow = sent.json["reference"]["workflow"]
        osmo.set_state(workflow, task="train", task_status="RUNNING")
        osmo.say(workflow, *lines, task="train")
        osmo.set_state(workflow, task="train", task_status="COMPLETED", exit_code=0)
        osmo.set_state(workflow, task="evaluate", task_status="FAILED", exit_code=5)
        return sent.json["run"], workflow

    return fail


PUBLISHED = event.format_event(Published(step=2, to=COPY))


@pytest.mark.slow
def test_published_policy_replaces_a_removed_training(fail_evaluation, osmo, robotrain):
    run, workflow = fail_evaluation(PUBLISHED)
    assert robotrain("status", run, "--json").json["state"] == "failed"
    osmo.remove(workflow)
    answer = robotrain("pipeline", "resume", run, "--json")
    assert answer.exit_code == 0, answer.stderr
    resumed = answer.json["run"]
    (later,) = osmo.workflows
    tasks = {task["name"]: task for group in osmo.workflows[later].spec["groups"] for task in group["tasks"]}
    assert {name: [task_input["task"] for task_input in task.get("inputs", [])] for name, task in tasks.items()} == {
        "evaluate": [],
        "again": ["evaluate"],
    }
    evaluate = parse_document(read_stored_plan(resumed).plan.files["steps/evaluate/job.json"].decode())
    assert [(source.role, source.kind, source.uri) for source in evaluate.sources] == [("policy", "blob_url", COPY)]
    assert "source.blob_url" in evaluate.container_plugins
    states = {step["name"]: step["state"] for step in robotrain("status", resumed, "--json").json["steps"]}
    assert states == {"train": "succeeded", "evaluate": "pending", "again": "waiting"}

    osmo.set_state(later, task="evaluate", task_status="FAILED", exit_code=5)
    again = robotrain("pipeline", "resume", resumed, "--json")
    assert again.exit_code == 0, again.stderr
    assert read_stored_plan(again.json["run"]).plan.files["steps/evaluate/job.json"].count(COPY.encode()) == 1


@pytest.mark.slow
def test_removed_training_without_a_published_policy_is_refused(fail_evaluation, osmo, robotrain):
    run, workflow = fail_evaluation()
    robotrain("status", run)
    osmo.remove(workflow)
    answer = robotrain("pipeline", "resume", run, "--json")
    (problem,) = answer.json["problems"]
    assert (answer.exit_code, problem["code"]) == (1, "step-output-missing")
    assert "the output of step train, which step evaluate reads, is gone" in problem["title"]
    assert problem["instead"][0]["text"] == f"robotrain resubmit {run}"
    assert not osmo.workflows


@pytest.mark.slow
def test_removed_pipeline_without_a_known_end_is_refused(fail_evaluation, osmo, robotrain):
    run, workflow = fail_evaluation()
    osmo.remove(workflow)
    (problem,) = robotrain("pipeline", "resume", run, "--json").json["problems"]
    assert problem["code"] == "run-gone"
    assert problem["instead"][0]["text"] == f"robotrain resubmit {run}"
