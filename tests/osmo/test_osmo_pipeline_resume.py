"""A pipeline continued after OSMO has removed the workflow that finished some of its steps."""

import pytest

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


@pytest.mark.slow
def test_removed_pipeline_is_refused(fail_evaluation, osmo, robotrain):
    run, workflow = fail_evaluation()
    osmo.remove(workflow)
    (problem,) = robotrain("pipeline", "resume", run, "--json").json["problems"]
    assert problem["code"] == "run-gone"
    assert problem["instead"][0]["text"] == f"robotrain resubmit {run}"
