"""From the command line to a policy that was trained on a compute: what was sent is what runs, for real."""

import json
import subprocess
from pathlib import Path

import pytest
from azure_stand_in.ml.fixtures import vault, vault_session
from azureml_trained_jobs import (
    EXAMPLES,
    dataset,
    list_kept,
    made_or_ended,
    size_training,
    submit,
    tracked,
    upload_dataset,
    wait_for_end,
    wait_until,
)
from hub_stand_in import HubStandIn
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import StageEvent

__all__ = ["submit", "upload_dataset", "vault", "vault_session", "wait_for_end"]

pytestmark = [pytest.mark.slow, pytest.mark.long]

JOB_IDENTITY = "c2000000-0000-0000-0000-000000000002"
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


def test_a_repository_that_is_shut_is_read_with_the_token_of_a_vault(
    cluster, machine, vault, submit, wait_for_end, monkeypatch
):
    with HubStandIn() as hub:
        hub.repository("mine/pusht", dataset("pusht-mini"), kind="dataset")
        hub.repositories["datasets/mine/pusht"].shut = "private"
        vault.put("hub-token", hub.token)
        vault.readers = {JOB_IDENTITY}
        for name, value in {"HF_ENDPOINT": hub.address, "HF_TOKEN": hub.token}.items():
            monkeypatch.setenv(name, value)
        machine.environ["HF_ENDPOINT"] = hub.address
        named = ("--dataset-repo-id", "mine/pusht", "--hf-credential", "hub-token", "--key-vault", "robots")
        _, job = submit(*named, *size_training(2, 2))
        log = wait_for_end(job)
        assert hub.token not in log + json.dumps(job.body)
        vault.readers = set()
        _, job = submit(*named, *size_training(2, 2), "--new")
        assert "Key Vault Secrets User" in wait_for_end(job, "Failed")


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


def test_a_folder_of_the_laptop_is_trained_on_and_gone_on_with_though_no_identity_may_read_a_blob(
    robotrain, cluster, machine, command, submit, wait_for_end
):
    run, job = submit("--dataset-path", EXAMPLES / "pusht-mini/dataset", *size_training(2, 2))
    wait_for_end(job)
    assert list_kept(cluster, job, "model.safetensors") == ["000002"]
    assert [output["name"] for output in robotrain("outputs", run, "--json").json["outputs"]][-1].endswith("000002")
    cluster.datastore("workspaceblobstore", cluster.container, "Sas")
    unsigned = rf"^(?!.*[?&]sig=)\w+ /(\w+/)?{cluster.container}\b"
    cluster.fault(unsigned, where="blobs", status=403, code="AuthorizationPermissionMismatch")
    words = (*command, "resume", run, "--training-steps", "4", "--json")
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    again = cluster.jobs[json.loads(done.stdout)["reference"]["job"]]
    assert again.inputs["resume_in_datastore"].prefix == f"azureml/{job.name}/checkpoints/000002"
    assert "resuming from step 2" in wait_for_end(again)
    assert list_kept(cluster, again, "model.safetensors")[-1] == "000004"


def test_a_cancelled_training_ends_by_itself_with_what_it_has(
    robotrain, cluster, machine, submit, upload_dataset, wait_for_end
):
    cluster.data("mini", 3, upload_dataset("pusht-mini", "sets/mini"))
    run, job = submit("--dataset-asset", "azureml:mini:3", *size_training(2000, 10))
    wait_until(lambda: '"event": "published"' in "\n".join(job.read_log()), job)
    assert robotrain("cancel", run).exit_code == 0
    wait_for_end(job, "Canceled")
    assert tracked(machine, job)[2]["training_status"] == "cancelled"
    assert machine.azureml.runs.get_run(job.name)["info"]["status"] == "KILLED"
    assert robotrain("status", run, "--json").json["state"] == "cancelled"


def test_data_that_is_none_and_data_that_the_identity_may_not_read_are_reported_before_anything_begins(
    robotrain, cluster, machine, submit, wait_for_end
):
    cluster.store.put(cluster.container, {"sets/none/readme.txt": b"nothing here"})
    cluster.data("none", 1, "sets/none")
    cluster.fault("/sets/none", where="blobs", times=1, status=403)  # or it would be told from here
    run, job = submit("--dataset-asset", "azureml:none:1", *size_training(2, 2))
    wait_for_end(job, "Failed")
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["exit_code"]) == ("failed", 4)
    assert "LeRobot" in status["reason"]

    cluster.store.put("private", {f"mini/{name}": content for name, content in dataset("pusht-mini").items()})
    refused = {"status": 403, "code": "AuthorizationPermissionMismatch"}
    cluster.here.runner = lambda job: (cluster.fault("/private", where="blobs", **refused), machine(job))
    run, job = submit(
        "--blob-url", f"https://{cluster.account}.blob.core.windows.net/private/mini", *size_training(2, 2)
    )
    wait_for_end(job, "Failed")
    records = [record for line in job.read_log() if (record := event.parse_event(line))]
    assert {record.event.name for record in records if isinstance(record.event, StageEvent)} == {"preflight"}
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["exit_code"]) == ("failed", 4)
    assert "Storage Blob Data Reader" in status["reason"]
