"""What the stand-in of the workspace refuses in a job or a pipeline: each of its rules has a row here."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from azure_stand_in.ml.azureml import AzureML

STORED = "azureml://datastores/workspaceblobstore/paths/azureml/a-job/checkpoints/"
LONG = "azureml://subscriptions/{}/resourcegroups/{}/workspaces/{}/{}"


def change_body(body: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with some of it changed; a slash goes into what it holds, None leaves it out."""
    changed: dict[str, Any] = copy.deepcopy(dict(body))
    for path, value in change.items():
        *above, last = path.split("/")
        at = changed
        for part in above:
            at = at.setdefault(part, {})
        at[last] = value
        if value is None:
            del at[last]
    return changed


@pytest.fixture
def job_body(azureml) -> dict[str, Any]:
    """The properties of a job that is taken."""
    azureml.managed_compute()
    azureml.managed_compute("nobodys", identities=())
    azureml.kubernetes("broken", state="Failed")
    azureml.data("a-file", 1, "files", kind="uri_file")
    return {
        "jobType": "Command",
        "command": "python3 start.py",
        "environmentId": azureml.environment("lerobot", "2.11.0", "pytorch/pytorch:2.11.0"),
        "computeId": azureml.kubernetes(),
        "experimentName": "lerobot-training",
        "tags": {"robotrain.run": "r1"},
        "environmentVariables": {"AZURE_CLIENT_ID": "c", "BLOB_URLS": "[]"},
        "resources": {"instanceCount": 1, "instanceType": "gpuspot", "shmSize": "8g", "properties": {}},
        "limits": {"jobLimitsType": "Command", "timeout": "PT12H"},
        "identity": {"identityType": "Managed"},
        "inputs": {
            "asset": {"jobInputType": "uri_folder", "mode": "ReadOnlyMount", "uri": azureml.data("a", 3, "a/3")},
            "model": {"jobInputType": "custom_model", "mode": "Download", "uri": azureml.model("m", 7, "m/7")},
        },
        "outputs": {"checkpoints": {"jobOutputType": "uri_folder", "mode": "Upload", "uri": STORED}},
    }


BOUND = "${{parent.jobs.train.outputs.checkpoints}}"
PORT = {"type": "uri_folder", "mode": "ro_mount"}
COMMAND = "python3 start.py --set lr=${{search_space.lr}} --set seed=${{search_space.seed}}"


def register_component(azureml: AzureML, spec: dict[str, object], version: str) -> str:
    at = f"/components/azureml_anonymous/versions/{version}"
    status, answer = azureml.ask("PUT", at, {"properties": {"componentSpec": spec, "isAnonymous": True}})
    assert status == 201, answer
    return str(answer["id"])


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
            "componentId": register_component(azureml, component, str(number)),
            "computeId": compute,
            "display_name": f"run-{name}",
            "tags": {"robotrain.run": f"run-{name}"},
            "resources": {"instance_count": 1, "instance_type": "gpuspot"},
            "identity": {"identity_type": "Managed"},
            "environment_variables": {"ROBOTRAIN_STEP": name},
        }
    nodes["evaluate"]["inputs"] = {"policy": {"job_input_type": "literal", "mode": "ReadOnlyMount", "value": BOUND}}
    return {"jobType": "Pipeline", "experimentName": "lerobot", "settings": {"force_rerun": True}, "jobs": nodes}


NOBODYS = {"computeId": "{at}/computes/nobodys", "resources/instanceType": None}
REFUSED = {
    "job_body": [
        ({"experimentName": "a.b"}, "InvalidExperimentName"),
        ({"tags": {f"t{number}": "" for number in range(51)}}, "LimitExceeded"),
        ({"tags/x": "v" * 1001}, "LimitExceeded"),
        *[({"resources/shmSize": size}, "InvalidShmSize") for size in ("8Gi", "8", "0g")],
        *[({"limits/timeout": time}, "InvalidTimeout") for time in ("12h", "PT0S", "PT1.5S")],
        ({"command": None}, "RequiredField"),
        ({"codeId": "{at}/codes/nowhere/versions/1"}, "NotFound"),
        ({"environmentId": "{at}/environments/lerobot/versions/9"}, "NotFound"),
        ({"environmentId": "azureml:lerobot@latest"}, "NotFound"),
        ({"computeId": "{at}/computes/nowhere"}, "UnknownTarget"),
        ({"computeId": "{at}/computes/broken"}, "UnknownTarget"),
        ({"resources/instanceType": "gpu9"}, "InvalidInstanceType"),
        ({"computeId": "{at}/computes/gpu-cluster"}, "InvalidInstanceType"),
        ({"resources/instanceCount": 0}, "InvalidInstanceCount"),
        ({"resources/instanceCount": 2}, "InvalidDistribution"),
        ({"distribution": {"distributionType": "PyTorch", "processCountPerInstance": 2}}, "InvalidDistribution"),
        ({"identity/clientId": "somebody-else"}, "IdentityNotFound"),
        (NOBODYS, "IdentityNotFound"),
        ({"outputs/1st": {"jobOutputType": "uri_folder"}}, "InvalidBindingName"),
        ({"inputs/asset/mode": "ro_mount"}, "InvalidInput"),
        ({"inputs/asset/uri": "{at}/data/a/versions/4"}, "InvalidInput"),
        ({"inputs/asset/uri": "{at}/data/a-file/versions/1"}, "InvalidInput"),
        ({"inputs/asset/uri": "azureml:a@latest"}, "InvalidInput"),
        ({"inputs/asset/uri": LONG.format("s", "g", "w", "data/a/versions/3")}, "InvalidInput"),
        ({"outputs/checkpoints/mode": "upload"}, "InvalidOutput"),
        ({"outputs/checkpoints/uri": "azureml://datastores/nowhere/paths/x/"}, "InvalidOutput"),
        ({"command": "ls ${{{{inputs.nope}}}}"}, "InvalidExpression"),
        ({"environmentVariables/OUT": "${{{{outputs.checkpoints}}}}"}, "InvalidExpression"),
    ],
    "pipeline_body": [
        ({"jobs": {}}, "InvalidPipeline"),
        ({"jobs/e-val": {}}, "InvalidPipeline"),
        ({"jobs/train/componentId": "azureml:nobody:1"}, "InvalidPipeline"),
        ({"jobs/train/computeId": "nowhere"}, "UnknownTarget"),
        ({"jobs/train/inputs": {"x": {"job_input_type": "literal", "value": "1"}}}, "InvalidPipeline"),
        ({"jobs/evaluate/inputs": {}}, "InvalidPipeline"),
        ({"jobs/evaluate/inputs/policy/value": BOUND.replace("train", "trian")}, "InvalidPipeline"),
        ({"jobs/evaluate/inputs/policy/value": "${{parent.jobs.evaluate.outputs.evaluation}}"}, "InvalidPipeline"),
    ],
}
TAKEN = [
    {"environmentId": "azureml://registries/robots/environments/trainer/versions/7"},
    {"environmentId": "azureml:AzureML-acpt-pytorch:7"},
    {"computeId": "{at}/COMPUTES/GPU-Cluster", "resources/instanceType": None},
    {"resources/instanceCount": 2, "distribution": {"distributionType": "PyTorch", "processCountPerInstance": 1}},
    {"identity": None, **NOBODYS},
    {"command": "ls ${{{{inputs.asset}}}} ${{{{outputs.checkpoints}}}}", "limits/timeout": "P1DT30M"},
    {"inputs/asset/uri": "azureml:{at}/data/a/versions/3", "outputs/checkpoints/uri": None},
]


def put_job(azureml: AzureML, body: Mapping[str, Any], change: Mapping[str, Any], name: str = "a-job") -> Any:
    """PUT a job with some of it changed; `{at}` in a text is the workspace. The status, the answer."""
    if body["jobType"] == "Command":
        change = {path: text.format(at=azureml.at) if isinstance(text, str) else text for path, text in change.items()}
    return azureml.ask("PUT", f"/jobs/{name}", {"properties": change_body(body, change)})


@pytest.mark.parametrize(("kind", "change", "code"), [(kind, *row) for kind, rows in REFUSED.items() for row in rows])
def test_what_azure_refuses(azureml, request, kind, change, code):
    status, answer = put_job(azureml, request.getfixturevalue(kind), change)
    inner = answer["error"]["additionalInfo"][1]["info"]["value"]["code"]
    assert (status, answer["error"]["code"], inner, azureml.jobs) == (400, "UserError", code, {})


def test_what_azure_takes(azureml, job_body, pipeline_body):
    for number, change in enumerate(TAKEN):
        assert put_job(azureml, job_body, change, f"job-{number}")[0] == 201
    assert put_job(azureml, job_body, {}, "a.job")[0] == 400
    assert put_job(azureml, pipeline_body, {}, "pipeline")[0] == 201


def test_a_job_that_is_there_may_be_described_anew_and_is_no_other(azureml, job_body):
    put_job(azureml, job_body, {})
    status, answer = put_job(azureml, job_body, {"displayName": "better"})
    assert (status, answer["properties"]["displayName"], [*azureml.jobs]) == (200, "better", ["a-job"])
    status, answer = put_job(azureml, job_body, {"displayName": "better", "command": "other", "limits": None})
    assert (status, "the existing job's Command,  Limits cannot be" in answer["error"]["message"]) == (400, True)
