"""The stand-in of the workspace: pipeline jobs, as Microsoft's own SDK sends them and as their steps run."""

import copy

import pytest
from azure_stand_in.ml.azureml import AzureML
from azure_stand_in.ml.job import Job

HOST = "westeurope.api.azureml.ms"
BOUND = "${{parent.jobs.train.outputs.checkpoints}}"
PORT = {"type": "uri_folder", "mode": "ro_mount"}


@pytest.fixture
def pipeline_body(azureml) -> dict[str, object]:
    """The properties of a pipeline that is taken: train, evaluate, and a step on its own."""
    compute = azureml.kubernetes()
    environment = azureml.environment("lerobot", "1", "pytorch/pytorch:2.11.0")
    spec = {"type": "command", "command": "python3 start.py", "environment": f"azureml:{environment}"}
    made = {
        "train": spec | {"outputs": {"checkpoints": {"type": "uri_folder", "mode": "upload"}}},
        "evaluate": spec | {"inputs": {"policy": PORT}, "outputs": {"evaluation": {"type": "uri_folder"}}},
        "other": spec | {"command": "true"},
    }
    nodes = {}
    for number, (name, component) in enumerate(made.items()):
        nodes[name] = {
            "name": name,
            "type": "command",
            "componentId": register(azureml, component, str(number)),
            "computeId": compute,
            "display_name": f"run-{name}",
            "tags": {"robotrain.run": f"run-{name}"},
            "resources": {"instance_count": 1, "instance_type": "gpuspot"},
            "identity": {"identity_type": "Managed"},
            "environment_variables": {"ROBOTRAIN_STEP": name},
        }
    nodes["evaluate"]["inputs"] = {"policy": {"job_input_type": "literal", "mode": "ReadOnlyMount", "value": BOUND}}
    return {"jobType": "Pipeline", "experimentName": "lerobot", "settings": {"force_rerun": True}, "jobs": nodes}


def register(azureml: AzureML, spec: dict[str, object], version: str) -> str:
    at = f"/components/azureml_anonymous/versions/{version}"
    status, told = azureml.ask("PUT", at, {"properties": {"componentSpec": spec, "isAnonymous": True}})
    assert status == 201, told
    return str(told["id"])


def put_pipeline(azureml: AzureML, body: dict[str, object], name: str = "p1") -> dict[str, Job]:
    status, told = azureml.ask("PUT", f"/jobs/{name}", {"properties": body})
    assert status == 201, told
    return azureml.steps(name)


def test_only_run_history_knows_what_a_step_is(azureml, pipeline_body):
    train = put_pipeline(azureml, pipeline_body)["train"]
    train.state("Running")
    train.say("hello")
    assert azureml.ask("GET", f"/jobs/{train.name}")[1]["properties"] is None
    told = azureml.ask("GET", f"/runs/{train.name}/details", host=HOST)[1]
    assert (told["status"], [*told["logFiles"]]) == ("Running", ["user_logs/std_log.txt"])


REFUSED = [
    ({"jobs": {}}, "has no jobs"),
    ({"settings/colour": "red"}, "Could not find member 'colour'"),
    ({"jobs/e-val": "train"}, "node name 'e-val' is invalid"),
    ({"jobs/train/componentId": "azureml:nobody:1"}, "component of the step train was not found"),
    ({"jobs/train/computeId": "nowhere"}, "The step train: Unknown compute target"),
    ({"jobs/train/inputs": {"x": {"job_input_type": "literal", "value": "1"}}}, "does not declare"),
    ({"jobs/evaluate/inputs": {}}, "no value for its input policy"),
    ({"jobs/evaluate/inputs/policy/value": BOUND.replace("train", "trian")}, "trian.outputs.checkpoints"),
    ({"jobs/evaluate/inputs/policy/value": "${{parent.jobs.evaluate.outputs.evaluation}}"}, "cycle: evaluate"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED, ids=lambda one: " ".join(one) if isinstance(one, dict) else "")
def test_what_the_service_does_not_take_is_refused(azureml, pipeline_body, change, told):
    for path, value in change.items():
        *above, last = path.split("/")
        at = pipeline_body
        for part in above:
            at = at[part]
        at[last] = copy.deepcopy(pipeline_body["jobs"]["train"]) if value == "train" else value
    status, said = azureml.ask("PUT", "/jobs/p1", {"properties": pipeline_body})
    assert (status, azureml.jobs) == (400, {})
    assert told in said["error"]["message"]
