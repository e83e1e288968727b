"""What the stand-in of the workspace refuses in a job, one by one: each rule of its table has a row here."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from azure_stand_in.ml.job_rules import RULES

STORED = "azureml://datastores/workspaceblobstore/paths/azureml/a-job/checkpoints/"
LONG = "azureml://subscriptions/{}/resourcegroups/{}/workspaces/{}/{}"


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


@pytest.fixture
def put(azureml, job_body) -> Callable[..., tuple[int, dict[str, Any]]]:
    """PUT it with some of it changed; a dot goes into what it holds, None leaves it out."""

    def put(change: Mapping[str, Any] | None = None, name: str = "a-job", **whole: Any) -> tuple[int, dict[str, Any]]:
        body = copy.deepcopy(job_body)
        for path, value in (change or {}).items():
            *above, last = path.split("/")
            at = body
            for part in above:
                at = at.setdefault(part, {})
            at[last] = value
            if value is None:
                del at[last]
        return azureml.ask("PUT", f"/jobs/{name}", {"properties": body, **whole})

    return put


def test_a_good_job_is_made_and_is_not_started(put, azureml):
    status, said = put()
    assert (status, said["name"], said["properties"]["status"]) == (201, "a-job", "NotStarted")
    studio = said["properties"]["services"]["Studio"]["endpoint"]
    assert studio == f"https://ml.azure.com/runs/a-job?wsid={azureml.at}"
    assert azureml.ask("GET", "/jobs/A-JOB")[1]["properties"]["command"] == "python3 start.py"


REFUSED = [
    ("name", {}, "It must start with a letter", "a.job"),
    ("fields", {"resources/gpus": 1}, "Could not find member 'gpus'"),
    ("fields", {"environmentVariables/STEPS": 5}, "Path 'properties.environmentVariables.STEPS'"),
    ("fields", {"outputs": []}, "has to be an object. Path 'properties.outputs'"),
    ("kind", {"jobType": "Spark"}, "job type 'Spark'"),
    ("command", {"command": None}, "command field is required"),
    ("experiment", {"experimentName": "a.b"}, "Experiment name must be 1-256 characters"),
    ("limits", {"tags": {f"t{number}": "" for number in range(51)}}, "at most 50 tags"),
    ("limits", {"tags/x": "v" * 1001}, "their values 1000"),
    ("limits", {f"outputs/o{number}": {"jobOutputType": "uri_folder"} for number in range(20)}, "at most 20 outputs"),
    ("code", {"codeId": "{at}/codes/nowhere/versions/1"}, "codes/nowhere/versions/1 was not found"),
    ("environment", {"environmentId": "{at}/environments/lerobot/versions/9"}, "lerobot with version 9 was not found"),
    ("environment", {"environmentId": "azureml:lerobot@latest"}, "no version of an environment"),
    ("compute", {"computeId": "{at}/computes/nowhere"}, "Unknown compute target 'nowhere'"),
    ("compute", {"computeId": "{at}/computes/broken"}, "it is Failed"),
    ("instances", {"resources/instanceType": "gpu9"}, "Invalid instance type"),
    ("instances", {"computeId": "{at}/computes/gpu-cluster"}, "cannot be said for the compute target 'gpu-cluster'"),
    *[("shared", {"resources/shmSize": size}, "number)(unit)") for size in ("8Gi", "8", "0g")],
    *[("timeout", {"limits/timeout": time}, "no duration") for time in ("12h", "PT0S", "PT1.5S")],
    ("identity", {"identity/clientId": "somebody-else"}, "somebody-else is not assigned"),
    (
        "identity",
        {"computeId": "{at}/computes/nobodys", "resources/instanceType": None},
        "has no identity that the job could use",
    ),
    ("bindings", {"outputs/1st": {"jobOutputType": "uri_folder"}}, "The name '1st' of outputs"),
    ("inputs", {"inputs/asset/mode": "ro_mount"}, "'ro_mount' of the input asset"),
    ("inputs", {"inputs/asset/uri": "{at}/data/a/versions/4"}, "data asset a with version 4 was not found"),
    ("inputs", {"inputs/asset/uri": "{at}/data/a-file/versions/1"}, "a-file:1 is none"),
    ("inputs", {"inputs/asset/uri": "azureml:a@latest"}, "names no version"),
    ("inputs", {"inputs/asset/uri": LONG.format("s", "g", "w", "data/a/versions/3")}, "lies in no datastore"),
    ("outputs", {"outputs/checkpoints/mode": "upload"}, "'upload' of the output checkpoints"),
    ("outputs", {"outputs/checkpoints/uri": "azureml://datastores/nowhere/paths/x/"}, "lies in no datastore"),
    ("places", {"command": "ls ${{{{inputs.nope}}}}"}, "${{inputs.nope}}"),
    ("places", {"environmentVariables/OUT": "${{{{outputs.checkpoints}}}}"}, "variable OUT holds an expression"),
]


@pytest.mark.parametrize(("rule", "change", "words", "name"), [(*row, "a-job")[:4] for row in REFUSED])
def test_what_azure_refuses(put, azureml, rule, change, words, name):
    here = {path: value.format(at=azureml.at) if isinstance(value, str) else value for path, value in change.items()}
    status, said = put(here, name=name)
    assert (status, said["error"]["code"]) == (400, "UserError")
    assert words in said["error"]["message"]
    (inner,) = (one["info"]["value"] for one in said["error"]["additionalInfo"] if one["type"] == "InnerError")
    assert inner["code"] == RULES[rule].inner
    assert azureml.jobs == {}


def test_each_rule_has_a_row():
    assert {rule for rule, *_ in REFUSED} == set(RULES)
    assert all(rule.of for rule in RULES.values())


def test_what_stands_beside_the_properties_is_refused(put):
    status, said = put(tags={})
    assert (status, "Could not find member 'tags'" in said["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    "change",
    [
        {"computeId": "{at}/COMPUTES/GPU-Cluster", "resources/instanceType": None, "resources/instanceCount": 2},
        {"identity": None, "computeId": "{at}/computes/nobodys", "resources/instanceType": None},
        {"command": "ls ${{{{inputs.asset}}}} ${{{{outputs.checkpoints}}}}", "limits/timeout": "P1DT30M"},
        {"inputs/asset/uri": "azureml:{at}/data/a/versions/3", "outputs/checkpoints/uri": None},
        {"experimentName": None, "displayName": None, "tags": None},
    ],
)
def test_what_azure_takes(put, azureml, change):
    here = {path: value.format(at=azureml.at) if isinstance(value, str) else value for path, value in change.items()}
    assert put(here)[0] == 201


def test_the_long_name_of_an_asset_of_this_workspace_is_taken(put, azureml):
    assert put({"inputs/asset/uri": LONG.format(*azureml.names, "data/a/versions/3")})[0] == 201


def test_the_same_job_again_is_the_same_job(put, azureml):
    assert put()[0] == 201
    status, said = put({"displayName": "better", "tags/more": "y"})
    assert (status, said["properties"]["displayName"]) == (200, "better")
    assert list(azureml.jobs) == ["a-job"]


@pytest.mark.parametrize(("change", "told"), [({"command": "other"}, "Command"), ({"limits": None}, "Limits")])
def test_another_job_of_the_same_name_is_refused(put, azureml, change, told):
    put()
    status, said = put(change)
    assert (status, said["error"]["code"]) == (400, "UserError")
    assert said["error"]["message"].startswith("A job with this name already exists.")
    assert f"the existing job's {told} cannot be changed" in said["error"]["message"]
    assert azureml.jobs["a-job"].command == "python3 start.py"
