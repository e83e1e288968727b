"""From the command line to the best of two policies that one sweep job trained, for real."""

import json

import pytest
from test_azureml_pipeline_runs import cluster, enclosed, machine
from untrained_policy import NETWORK

__all__ = ["cluster", "enclosed", "machine"]

pytestmark = [pytest.mark.slow, pytest.mark.long]

JOB = f"""
workload: lerobot-train
sources: {{dataset: [{{data_asset: "azureml:mini:3"}}]}}
parameters: {{training_steps: 2, save_freq: 2, log_freq: 1, batch_size: 2, num_workers: 0, val_split: 0, device: cpu}}
trainer_args: {json.dumps(NETWORK)}
"""


def test_two_trainings_are_compared_and_the_best_is_registered(robotrain, cluster, tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text(JOB)
    words = ("sweep", file, "--platform", "azureml", "--over", "learning_rate=1e-5,1e-2", "--metric", "train/loss")
    sent = robotrain(*words, "--at-most", "2", "-r", "pusher", "--native-only", "--json")
    assert sent.exit_code == 0, sent.stderr
    run, job = sent.json["run"], sent.json["reference"]["job"]
    assert cluster.jobs[job].ended.wait(120)
    status = robotrain("status", run, "--json").json
    found = status["sweep"]
    assert status["state"] == "succeeded", robotrain("logs", run).stdout
    assert {(one["run"], one["values"]["learning_rate"]) for one in found["trials"]} == {
        (f"{job}_0", 1e-5),
        (f"{job}_1", 1e-2),
    }
    scores = {one["name"]: one["score"] for one in found["trials"]}
    best = min(scores, key=lambda name: scores[name])
    assert (found["metric"], found["best"]["trial"]) == ("train/loss", best)
    told = cluster.jobs[job].body["properties"]
    assert told["best_child_run_id"] == found["best"]["run"], "as Azure ML finds it in MLflow"
    params = {one["key"]: one["value"] for one in cluster.runs.said(f"{job}_1")["data"]["params"]}
    assert params["learning_rate"] == "0.01"
    outputs = robotrain("outputs", run).stdout
    assert "trial-1/checkpoints/000002" in outputs
    assert "trial-2/checkpoints/000002" in outputs
    registered = robotrain("register", run, "pusher")
    assert registered.exit_code == 0, registered.stderr
    (version,) = next(one for at, one in cluster.manager.there.models.items() if at.endswith("/pusher")).values()
    assert version["tags"]["azureml_run_id"] == found["best"]["run"]
