"""The stand-in of the workspace carries Microsoft's own SDK through all that a submit and its aftermath ask."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from azure_stand_in.ml.azureml import AzureML
from azure_stand_in.ml.job import Job

pytestmark = pytest.mark.slow

JOB = """
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
type: command
name: {name}
display_name: shown
experiment_name: lerobot-training
tags: {{robotrain.run: r1}}
code: code
command: python3 start.py
environment: azureml:lerobot-training-env:2.11.0
compute: azureml:k8s-robot-dev-00
resources: {{instance_count: 1, instance_type: gpuspot, shm_size: 8g}}
limits: {{timeout: 43200}}
identity: {{type: managed}}
environment_variables: {{AZURE_CLIENT_ID: c, BLOB_URLS: '[]'}}
inputs:
  dataset_asset_0: {{type: uri_folder, mode: ro_mount, path: azureml:episodes:3}}
  init_from_policy_model: {{type: custom_model, mode: download, path: azureml:pusher:7}}
outputs:
  checkpoints:
    type: uri_folder
    mode: upload
    path: azureml://datastores/workspaceblobstore/paths/azureml/{name}/checkpoints/
"""
BEFORE = """
import json, logging, os, sys, warnings
warnings.simplefilter("ignore")
logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)
from azure.ai.ml import MLClient, load_job
from azure.ai.ml.entities import Environment, Model
from azure.core.exceptions import HttpResponseError
from azure.identity import DefaultAzureCredential
client = MLClient(DefaultAzureCredential(), *json.loads(os.environ["NAMES"]))
"""


@pytest.fixture
def there(azureml) -> AzureML:
    """With all that the job needs."""
    return filled(azureml)


def filled(azureml: AzureML) -> AzureML:
    azureml.kubernetes()
    azureml.environment("lerobot-training-env", "2.11.0", "pytorch/pytorch:2.11.0")
    azureml.data("episodes", 3, "episodes/3")
    azureml.model("pusher", 7, "models/7")
    return azureml


@pytest.fixture
def job(tmp_path) -> Path:
    """A written one, with its code."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code/start.py").write_text("print('hello')")
    (tmp_path / "code/payload.zip").write_bytes(b"PK")
    file = tmp_path / "job.yaml"
    file.write_text(JOB.format(name="a-job-1"))
    return file


@pytest.fixture
def sdk(there) -> Callable[..., Any]:
    """Run a program with the SDK: what it says last, read as JSON."""
    return lambda source, **environ: ran(there, source, environ)


def ran(there: AzureML, source: str, environ: Mapping[str, object]) -> Any:
    given = {**os.environ, "NAMES": json.dumps(there.names), **{name: str(value) for name, value in environ.items()}}
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + source], env=given, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


SUBMIT = """
job = load_job(os.environ["JOB"])
made = client.jobs.create_or_update(job)
again = client.jobs.create_or_update(load_job(os.environ["JOB"]))
got = client.jobs.get(made.name)
print(json.dumps([made.name, made.status, made.studio_url, again.name, got.status, got.display_name]))
"""


def test_a_job_is_made_with_its_code_and_made_once(sdk, there, job):
    name, status, studio, again, got, shown = sdk(SUBMIT, JOB=job)
    assert (name, again, status, got, shown) == ("a-job-1", "a-job-1", "NotStarted", "NotStarted", "shown")
    assert studio.startswith(f"https://ml.azure.com/runs/a-job-1?wsid={there.at}")
    (made,) = there.jobs.values()
    assert made.image == "pytorch/pytorch:2.11.0"
    container, prefix = made.code
    assert there.store.get(container, f"{prefix}/start.py") == b"print('hello')"
    assert made.inputs["dataset_asset_0"].prefix == "episodes/3"
    assert made.outputs["checkpoints"].prefix == "azureml/a-job-1/checkpoints"
    assert len([line for line in there.calls if line.startswith("PUT") and "/start.py" in line]) == 1
    assert there.proxy.refused == []


def test_the_same_with_azurite_and_mlflow(azureml_stored, job):
    there = filled(azureml_stored)
    name, *_ = ran(there, SUBMIT, {"JOB": job})
    made = there.jobs[name]
    container, prefix = made.code
    assert there.store.get(container, f"{prefix}/start.py") == b"print('hello')"
    assert there.store.names(container, prefix) == [f"{prefix}/payload.zip", f"{prefix}/start.py"]
    made.say("one")
    made.say("two")
    assert made.said() == ["one", "two"]
    assert there.runs.said(name)["info"]["status"] == "RUNNING"
    there.store.delete(container, f"{prefix}/start.py")
    assert there.store.get(container, f"{prefix}/start.py") is None


LOOK = """
workspace = client.workspaces.get(client.workspace_name)
environment = client.environments.create_or_update(Environment(name="e", version="1", image="i:1"))
refused = ""
try:
    client.environments.create_or_update(Environment(name="e", version="1", image="other:1"))
except HttpResponseError as error:
    refused = error.message
compute = client.compute.get("k8s-robot-dev-00")
managed = client.compute.get("gpu-cluster")
print(json.dumps({
    "discovery": workspace.discovery_url, "location": workspace.location,
    "environment": environment.image, "refused": refused,
    "compute": [compute.type, compute.provisioning_state, compute.identity.type],
    "types": list(compute.properties["instanceTypes"]),
    "managed": [managed.type, managed.size, managed.max_instances],
    "data": client.data.get("episodes", version="3").path,
    "model": client.models.get("pusher", version="7").path,
    "latest": client.data.get("episodes", label="latest").version,
    "datastore": client.datastores.get_default().container_name,
    "computes": sorted(one.name for one in client.compute.list()),
    "usages": [[one.name["value"], one.limit] for one in client.compute.list_usage(location="westeurope")],
}))
"""


def test_what_there_is_is_read_by_the_sdk(sdk, there):
    there.managed_compute()
    there.usage("standardNCADSA100v4Family", 24, 48)
    said = sdk(LOOK)
    assert said["discovery"] == "https://westeurope.api.azureml.ms/discovery"
    assert (said["location"], said["environment"]) == ("westeurope", "i:1")
    assert "already registered and cannot be changed" in said["refused"]
    assert (said["compute"], said["types"]) == (["kubernetes", "Succeeded", "user_assigned"], ["gpuspot"])
    assert said["managed"] == ["amlcompute", "Standard_NC24ads_A100_v4", 2]
    assert said["data"].endswith("/datastores/workspaceblobstore/paths/episodes/3/")
    assert said["model"].endswith("/datastores/workspaceblobstore/paths/models/7/")
    assert (said["latest"], said["datastore"]) == ("3", there.container)
    assert said["computes"] == ["gpu-cluster", "k8s-robot-dev-00"]
    assert said["usages"] == [["standardNCADSA100v4Family", 48]]


STREAM = """
made = client.jobs.create_or_update(load_job(os.environ["JOB"]))
client.jobs.stream(made.name)
print(json.dumps(client.jobs.get(made.name).status))
"""


def test_logs_are_streamed_until_the_job_ends(sdk, there, job, capfd):
    def run(running: Job) -> None:
        running.state("Running")
        running.say("step:1 loss:0.5")
        assert not running.cancelled.wait(3)

    there.runner = run
    source = STREAM.replace("print(json", "sys.stderr.write('')\nprint(json")
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + source],
        env={**os.environ, "NAMES": json.dumps(there.names), "JOB": str(job)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "step:1 loss:0.5" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == "Completed", done.stderr


CANCEL = """
made = client.jobs.create_or_update(load_job(os.environ["JOB"]))
client.jobs.begin_cancel(made.name).wait()
listed = [one.name for one in client.jobs.list()]
job = client.jobs.get(made.name)
job.tags = {"robotrain.run": "r1", "more": "y"}
client.jobs.create_or_update(job)
print(json.dumps([client.jobs.get(made.name).status, listed, client.jobs.get(made.name).tags]))
"""


def test_a_job_is_canceled_listed_and_tagged(sdk, job):
    assert sdk(CANCEL, JOB=job) == ["Canceled", ["a-job-1"], {"robotrain.run": "r1", "more": "y"}]


MODELS = """
made = client.jobs.create_or_update(load_job(os.environ["JOB"]))
at = f"azureml://jobs/{made.name}/outputs/checkpoints/paths/000020/"
one = client.models.create_or_update(Model(name="made", version="1", path=at, type="custom_model"))
local = client.models.create_or_update(Model(name="local", version="1", path=os.environ["FOLDER"], type="custom_model"))
client.models.download("local", version="1", download_path=os.environ["TO"])
print(json.dumps([one.path, local.path]))
"""


@pytest.mark.parametrize("how", ["None", "AccountKey", "Sas"])
def test_models_are_registered_and_downloaded(sdk, there, job, tmp_path, how):
    there.ml.datastores["workspaceblobstore"]["credentials"] = {"credentialsType": how}
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights.bin").write_bytes(b"w" * 1000)
    made, local = sdk(MODELS, JOB=job, FOLDER=tmp_path / "model", TO=tmp_path / "to")
    assert made == "azureml://jobs/a-job-1/outputs/checkpoints/paths/000020/"
    assert "/datastores/workspaceblobstore/paths/LocalUpload/" in local
    assert [path.read_bytes() for path in (tmp_path / "to").rglob("weights.bin")] == [b"w" * 1000]


DOWNLOAD = """
made = client.jobs.create_or_update(load_job(os.environ["JOB"]))
client.jobs.stream(made.name)
client.jobs.download(made.name, output_name="checkpoints", download_path=os.environ["TO"])
print(json.dumps(client.jobs.get(made.name).status))
"""


@pytest.mark.parametrize(("folder", "found"), [("azureml/a-job-1/checkpoints", ["x"]), ("elsewhere", [])])
def test_the_sdk_finds_a_named_output_by_guessing_its_folder(sdk, there, job, tmp_path, folder, found):
    """Azureml.md 8: the type of an output, `UriFolder`, is none that 1.35 knows; elsewhere it downloads nothing, and
    returns normally.
    """
    job.write_text(job.read_text().replace("azureml/a-job-1/checkpoints", folder))
    there.runner = lambda running: there.store.put(there.container, {f"{folder}/000020/x": b"y"})
    assert sdk(DOWNLOAD, JOB=job, TO=tmp_path / "to") == "Completed"
    assert [path.name for path in (tmp_path / "to").rglob("x")] == found
