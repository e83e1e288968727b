"""Rendered jobs pass the validation of Azure's SDK, which sends what they say."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import azureml_plans
import pytest
from azureml_plans import PINNED, assets, blobs, job, model, read_spec, source
from robotrain.model.plan import Plan, write_plan_files
from robotrain_azureml.spec import inputs

FULL = "azureml://subscriptions/SUB/resourcegroups/RG/workspaces/WS/data/a/versions/1"
REGISTRY = "azureml://registries/r/models/m/versions/2"
LOCATED = "azureml://locations/westeurope/workspaces/w/data/a/versions/1"

SENT = """
import json, logging, sys, warnings
warnings.simplefilter("ignore")
logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)
from azure.ai.ml import MLClient, load_job
from azure.identity import DefaultAzureCredential
client = MLClient(DefaultAzureCredential(), *json.loads(sys.argv[1]))
print(client.jobs.create_or_update(load_job(sys.argv[2])).name)
"""
Load = Callable[[dict[str, Any] | Plan], Any]


def plans() -> list[Plan]:
    """One of everything that a job can say."""
    folders = [source("local_path", "/d", pin=PINNED), source("local_path", "/e")]
    several = [*assets("azureml:a:3", FULL, LOCATED, "azureml:a:3"), *blobs(), *folders, model(REGISTRY)]
    client = "11111111-2222-3333-4444-555555555555"
    return [
        azureml_plans.render_plan(job()),
        azureml_plans.render_plan(
            job(*several), workload_identity=client, exec_timeout="12h", labels="team=arms,on=true,a b=1.0"
        ),
        azureml_plans.render_plan(
            job(*blobs(), model("azureml:m:7", "policy")), compute_kind="managed", display_name="1e3: #"
        ),
        azureml_plans.render_plan(
            job(*blobs(), source("local_path", "/c", "resume")), output_mode="rw_mount", instance_type="mine"
        ),
        azureml_plans.render_plan(
            job(source("huggingface", "a/b"), num_gpus=4), hf_credential="hf", key_vault="robots"
        ),
        azureml_plans.render_plan(job(num_nodes=2, num_gpus=4), compute_kind="managed"),
        azureml_plans.render_plan(
            job(workload="rosbag-act-train"), datastore="mine", environment_version="7", compute="c-1"
        ),
    ]


def change_job(**changed: Any) -> dict[str, Any]:
    """A job with something else in it."""
    return {**read_spec(azureml_plans.render_plan(job(*assets("azureml:a:3")))), **changed}


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """What the SDK would send for a plan, or for a job that it never saw."""
    from azure.ai.ml import load_job

    logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)

    def loaded(of: dict[str, Any] | Plan) -> Any:
        folder = tmp_path_factory.mktemp("plan")
        if isinstance(of, Plan):
            write_plan_files(of, folder)
        else:
            (folder / "code").mkdir()
            (folder / "job.yaml").write_text(json.dumps(of))
        return load_job(folder / "job.yaml")._to_job()._to_rest_object().as_dict()

    return loaded


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestOfTheSdk:
    """What it reads in a plan's folder, and what it would send."""

    def test_it_takes_every_job_and_sends_what_it_says(self, load: Load) -> None:
        for made in plans():
            body, spec = load(made), read_spec(made)
            sent = body["properties"]
            assert (body["name"], sent["command"], sent["codeId"]) == (made.run, spec["command"], "code")
            assert (sent["experimentName"], sent.get("displayName")) == (
                spec["experiment_name"],
                spec.get("display_name"),
            )
            assert (sent["environmentVariables"], sent["tags"]) == (spec["environment_variables"], spec["tags"])
            assert {sent["environmentId"], sent["computeId"]} == {
                spec[name].removeprefix("azureml:") for name in ("environment", "compute")
            }
            client = spec["identity"].get("client_id")
            assert sent["identity"] == {"identityType": "Managed"} | ({"clientId": client} if client else {})
            assert sent["resources"].get("instanceType") == spec["resources"].get("instance_type")
            assert sent["resources"]["instanceCount"] == spec["resources"]["instance_count"]
            distribution = spec.get("distribution")
            group = distribution and {"distributionType": "PyTorch", "processCountPerInstance": 1}
            assert sent.get("distribution") == group
            assert sent["resources"]["shmSize"] == spec["resources"]["shm_size"]
            assert list(sent.get("inputs", {})) == list(spec.get("inputs", {}))
            assert sent["outputs"]["checkpoints"]["uri"] == spec["outputs"]["checkpoints"]["path"]

    def test_it_reads_times_and_ways_of_bringing_as_they_were_meant(self, load: Load) -> None:
        given_job = job(*assets("azureml:a:3"), model("azureml:m:7"))
        sent = load(azureml_plans.render_plan(given_job, exec_timeout="90m", output_mode="rw_mount"))["properties"]
        assert sent["limits"]["timeout"] == "PT1H30M"
        assert [(job_input["jobInputType"], job_input["mode"]) for job_input in sent["inputs"].values()] == [
            ("uri_folder", "ReadOnlyMount"),
            ("custom_model", "Download"),
        ]
        assert sent["outputs"]["checkpoints"]["mode"] == "ReadWriteMount"

    def test_a_name_that_nothing_stands_for_would_be_seen(self, load: Load) -> None:
        load(change_job())
        with pytest.raises(Exception, match="nope"):
            load(change_job(command="echo ${{inputs.nope}}"))


@pytest.mark.slow
def test_short_and_full_names_reach_the_same_versions_in_a_workspace(azureml, tmp_path: Path) -> None:
    subscription, group, workspace = azureml.names
    azureml.kubernetes()
    azureml.environment("lerobot-training-env", "1.0", "registry.example/image:1.0")
    azureml.data("a", 3, "episodes/3")
    azureml.model("m", 7, "models/7")
    scope = f"azureml://subscriptions/{subscription}/resourcegroups/{group}/workspaces/{workspace}"
    given_job = job(*assets("azureml:a:3", f"{scope}/data/a/versions/3"), model(f"{scope}/models/m/versions/7"))
    names = {"subscription_id": subscription, "resource_group": group, "workspace_name": workspace}
    made = azureml_plans.render_plan(given_job, image="registry.example/image:1.0", **names)
    write_plan_files(made, tmp_path)
    command = [sys.executable, "-c", SENT, json.dumps(azureml.names), str(tmp_path / "job.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, made.run), done.stderr[-2000:]
    (job_there,) = azureml.jobs.values()
    assert {name: bound.prefix for name, bound in job_there.inputs.items()} == {
        "dataset_asset_0": "episodes/3",
        "dataset_asset_1": "episodes/3",
        "init_from_policy_model": "models/7",
    }
    assert job_there.environ == read_spec(made)["environment_variables"]
    assert job_there.outputs["checkpoints"].prefix == inputs.make_output_folder(made.run, "checkpoints")
