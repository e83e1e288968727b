"""From the command line to a policy that was trained on a compute: what was sent is what runs, for real."""

import json
import subprocess
from pathlib import Path

import pytest
from azureml_trained_jobs import (
    EXAMPLES,
    list_kept,
    made_or_ended,
    size_training,
    submit,
    tracked,
    upload_dataset,
    wait_for_end,
    wait_until,
)

__all__ = ["submit", "upload_dataset", "wait_for_end"]

pytestmark = [pytest.mark.slow, pytest.mark.long]

LENGTHS = """
import json, sys, numpy as np, pyarrow.parquet as pq
table = pq.ParquetDataset(sys.argv[1] + "/data").read(["episode_index"])
print(json.dumps(np.bincount(np.asarray(table["episode_index"])).tolist()))
"""


def lengths(python: Path, folder: Path) -> list[int]:
    """Of the episodes of a dataset, in their order."""
    done = subprocess.run([python, "-c", LENGTHS, folder], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_what_assets_and_a_prefix_were_merged_to_is_trained_on_and_registered_and_begun_with_again(
    robotrain, cluster, machine, submit, upload_dataset, wait_for_end, training_python
):
    cluster.data("mini", 3, upload_dataset("pusht-mini", "sets/mini"))
    cluster.data("again", 1, upload_dataset("pusht-mini", "sets/again"))
    folder = upload_dataset("pusht-more", "sets/more")
    more = f"https://{cluster.account}.blob.core.windows.net/{cluster.container}/{folder}"
    sources = ("--dataset-asset", "azureml:mini:3", "--blob-url", more, "--dataset-asset", "azureml:again:1")
    run, job = submit(*sources, "-r", "pusher", *size_training(4, 2))
    wait_for_end(job)
    merged = machine.folder / job.name / f"disk/tmp/robotrain/{run}/prepared/files"
    mini, other = (lengths(training_python, EXAMPLES / name / "dataset") for name in ("pusht-mini", "pusht-more"))
    assert lengths(training_python, merged) == [*mini, *other, *mini]
    assert list_kept(cluster, job, "model.safetensors") == ["000002", "000004"]
    params, metrics, tags = tracked(machine, job)
    assert (params["training_steps"], params["batch_size"]) == ("4", "4")
    assert metrics["train/loss"] > 0
    assert (tags["dataset.source"], tags["training_status"]) == ("mixed", "completed")
    assert machine.azureml.runs.get_run(job.name)["info"]["status"] == "FINISHED"
    assert not made_or_ended(cluster)
    assert [version["tags"]["checkpoint"] for version in cluster.versions("pusher").values()] == ["000004"]
    model = cluster.versions("pusher")["1"]
    counted = {"dataset_uri_count": "3", "dataset_asset_count": "2", "blob_url_count": "1"}
    expected = {"framework": "lerobot", "policy_type": "act", "source": "azureml-lerobot-mixed", **counted}
    assert {name: model["tags"][name] for name in expected} == expected
    assert {model["tags"]["azureml_run_id"], model["tags"]["mlflow_run_id"]} == {job.name}
    assert model["modelType"] == "custom_model"
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["step"]) == ("succeeded", 4)

    machine.spelled, machine.like_app_service = "upper", True
    begun = ("--dataset-asset", "azureml:mini:3", "--init-from-policy-model", "azureml:pusher:1")
    _, job = submit(*begun, *size_training(2, 2))
    assert "/INPUT_init_from_policy_model" in wait_for_end(job)
    _, _, tags = tracked(machine, job)
    begun_with = {name: tags[f"warm_start.{name}"] for name in ("source", "model_name", "model_version")}
    assert begun_with == {"source": "azureml:pusher:1", "model_name": "pusher", "model_version": "1"}
    assert list_kept(cluster, job, "model.safetensors") == ["000002"]


def test_a_preempted_training_goes_on_in_the_same_tracking_run_from_what_its_mounted_output_kept(
    robotrain, cluster, machine, submit, upload_dataset, wait_for_end
):
    cluster.data("mini", 3, upload_dataset("pusht-mini", "sets/mini"))
    run, job = submit("--dataset-asset", "azureml:mini:3", "--output-mode", "rw_mount", *size_training(80, 20))
    wait_until(lambda: list_kept(cluster, job, "robotrain-checkpoint.json"), job)
    machine.running[job.name].preempt()
    log = wait_for_end(job)
    assert machine.running[job.name].attempts == 2
    assert "of an earlier attempt, restored from" in log, log
    _, metrics, tags = tracked(machine, job)
    assert not made_or_ended(cluster)
    checkpoint_uri = f"azureml://datastores/workspaceblobstore/paths/azureml/{job.name}/checkpoints/000080"
    assert tags["checkpoint_000080_output"] == checkpoint_uri
    assert not cluster.store.names("azureml", f"ExperimentRun/dcid.{job.name}/checkpoints/"), "stored once"
    assert robotrain("register", run, "pusher", "--json").json["step"] == 80
    (registered,) = cluster.versions("pusher").values()
    assert registered["modelUri"].endswith("/outputs/checkpoints/paths/000080/pretrained_model/")
    assert (metrics["train/samples"], tags["training_status"]) == (320, "completed")
    assert list_kept(cluster, job, "robotrain-checkpoint.json")[-1] == "000080"
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["step"]) == ("succeeded", 80)
