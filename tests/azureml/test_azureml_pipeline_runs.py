"""From the command line to policies that one pipeline job trained and registered, for real."""

import json

import pytest
from azure_stand_in.manager import CONTRIBUTOR
from untrained_policy import DATASET, NETWORK, environment

pytestmark = [pytest.mark.slow, pytest.mark.long]

OPTIONS = [*NETWORK, "--policy.pretrained_backbone_weights=null"]
STEPS = f"""
name: shift
steps:
  train:
    workload: lerobot-train
    sources: {{dataset: [{{data_asset: "azureml:mini:3"}}]}}
    parameters: {{training_steps: 2, save_freq: 1, batch_size: 2, num_workers: 0, val_split: 0, device: cpu}}
    trainer_args: {json.dumps(OPTIONS)}
  evaluate:
    workload: lerobot-eval
    sources: {{policy: [{{from: train}}]}}
    parameters: {{env: pusht, starts: easy, env_steps: 3, eval_episodes: 1, env_workers: 0, device: cpu,
      register_model: pusher}}
    platforms: {{azureml: {{compute: k8s-eval}}}}
"""


@pytest.fixture
def cluster(cluster):
    """With a dataset, and a second compute, which may not read it yet."""
    environment()
    cluster.kubernetes("k8s-eval", identities=(("id-eval", "c4000000-0000-0000-0000-000000000004", "nobody"),))
    files = {f"sets/mini/{path.relative_to(DATASET).as_posix()}": path.read_bytes() for path in DATASET.rglob("*.*")}
    cluster.store.put(cluster.container, files)
    cluster.data("mini", 3, "sets/mini")
    return cluster


def test_a_policy_is_trained_evaluated_after_a_failure_and_registered(robotrain, cluster, tmp_path):
    file = tmp_path / "pipeline.yaml"
    file.write_text(STEPS)
    sent = robotrain("pipeline", "submit", file, "--platform", "azureml", "--native-only", "--json")
    assert sent.exit_code == 0, sent.stderr
    run, job = sent.json["run"], sent.json["reference"]["job"]
    assert cluster.jobs[job].ended.wait(120)
    steps = {step["name"]: step for step in robotrain("status", run, "--json").json["steps"]}
    states = {name: step["state"] for name, step in steps.items()}
    assert states == {"train": "succeeded", "evaluate": "failed"}, robotrain("logs", run).stdout
    assert "AuthorizationPermissionMismatch" in steps["evaluate"]["reason"]

    cluster.manager.assign("nobody", CONTRIBUTOR, cluster.manager.account(cluster.account))
    again = robotrain("pipeline", "resume", run, "--json")
    assert again.exit_code == 0, again.stderr
    second, later = again.json["run"], again.json["reference"]["job"]
    assert cluster.jobs[later].ended.wait(120)
    status = robotrain("status", second, "--json").json
    assert [step["state"] for step in status["steps"]] == ["succeeded"] * 2, robotrain("logs", second).stdout
    assert [*cluster.steps(later)] == ["evaluate"]
    (version,) = cluster.versions("pusher").values()
    assert version["tags"]["score_rollout_success_rate"] == "0"
    assert "evaluate/eval_results" in robotrain("outputs", second).stdout


JOB = f"""
workload: lerobot-train
sources: {{dataset: [{{data_asset: "azureml:mini:3"}}]}}
parameters: {{training_steps: 2, save_freq: 2, log_freq: 1, batch_size: 2, num_workers: 0, val_split: 0, device: cpu}}
trainer_args: {json.dumps(OPTIONS)}
"""
