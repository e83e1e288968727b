"""What the stand-in of the workspace refuses in a job, a pipeline or a sweep: each of its rules has a row here."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from azure_stand_in.ml.azureml import AzureML
from azure_stand_in.ml.job import Job
from azure_stand_in.ml.job_rules import RULES

HOST = "westeurope.api.azureml.ms"
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


@pytest.fixture
def put(azureml, job_body) -> Callable[..., tuple[int, dict[str, Any]]]:
    """PUT the job with some of it changed; `{at}` in a text is the workspace."""

    def put(change: Mapping[str, Any] | None = None, name: str = "a-job", **whole: Any) -> tuple[int, dict[str, Any]]:
        texts = {path: value.format(at=azureml.at) for path, value in (change or {}).items() if isinstance(value, str)}
        return azureml.ask(
            "PUT", f"/jobs/{name}", {"properties": change_body(job_body, {**(change or {}), **texts}), **whole}
        )

    return put


def test_a_good_job_is_made_and_is_not_started(put, azureml):
    status, answer = put()
    assert (status, answer["name"], answer["properties"]["status"]) == (201, "a-job", "NotStarted")
    studio = answer["properties"]["services"]["Studio"]["endpoint"]
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
    ("distribution", {"resources/instanceCount": 2}, "2 instances has no distribution"),
    (
        "distribution",
        {"distribution": {"distributionType": "PyTorch", "processCountPerInstance": 2}},
        "it starts PyTorch, with one process a node",
    ),
    ("distribution", {"distribution": {"distributionType": "Ray"}}, "'Ray' is not supported"),
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
    status, answer = put(change, name=name)
    assert (status, answer["error"]["code"]) == (400, "UserError")
    assert words in answer["error"]["message"]
    (inner,) = (one["info"]["value"] for one in answer["error"]["additionalInfo"] if one["type"] == "InnerError")
    assert inner["code"] == RULES[rule].inner
    assert azureml.jobs == {}


def test_each_rule_has_a_row():
    assert {rule for rule, *_ in REFUSED} == set(RULES)
    assert all(rule.of for rule in RULES.values())


def test_what_stands_beside_the_properties_is_refused(put):
    status, answer = put(tags={})
    assert (status, "Could not find member 'tags'" in answer["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    "change",
    [
        {"computeId": "{at}/COMPUTES/GPU-Cluster", "resources/instanceType": None},
        {"resources/instanceCount": 2, "distribution": {"distributionType": "PyTorch", "processCountPerInstance": 1}},
        {"identity": None, "computeId": "{at}/computes/nobodys", "resources/instanceType": None},
        {"command": "ls ${{{{inputs.asset}}}} ${{{{outputs.checkpoints}}}}", "limits/timeout": "P1DT30M"},
        {"inputs/asset/uri": "azureml:{at}/data/a/versions/3", "outputs/checkpoints/uri": None},
        {"experimentName": None, "displayName": None, "tags": None},
    ],
)
def test_what_azure_takes(put, change):
    assert put(change)[0] == 201


def test_the_long_name_of_an_asset_of_this_workspace_is_taken(put, azureml):
    assert put({"inputs/asset/uri": LONG.format(*azureml.names, "data/a/versions/3")})[0] == 201


def test_the_same_job_again_is_the_same_job(put, azureml):
    assert put()[0] == 201
    status, answer = put({"displayName": "better", "tags/more": "y"})
    assert (status, answer["properties"]["displayName"]) == (200, "better")
    assert list(azureml.jobs) == ["a-job"]


@pytest.mark.parametrize(("change", "part"), [({"command": "other"}, "Command"), ({"limits": None}, "Limits")])
def test_another_job_of_the_same_name_is_refused(put, azureml, change, part):
    put()
    status, answer = put(change)
    assert (status, answer["error"]["code"]) == (400, "UserError")
    assert answer["error"]["message"].startswith("A job with this name already exists.")
    assert f"the existing job's {part} cannot be changed" in answer["error"]["message"]
    assert azureml.jobs["a-job"].command == "python3 start.py"


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


@pytest.fixture
def sweep_body(azureml) -> dict[str, object]:
    """The properties of a sweep that is taken: four trials, two at once."""
    compute = azureml.kubernetes()
    environment = azureml.environment("lerobot", "1", "pytorch/pytorch:2.11.0")
    return {
        "jobType": "Sweep",
        "computeId": compute,
        "experimentName": "lerobot",
        "searchSpace": {"lr": ["choice", [[1e-05, 0.001]]], "seed": ["choice", [[1, 2]]]},
        "samplingAlgorithm": {"samplingAlgorithmType": "Grid"},
        "objective": {"goal": "Minimize", "primaryMetric": "val/loss"},
        "limits": {"jobLimitsType": "Sweep", "maxTotalTrials": 4, "maxConcurrentTrials": 2, "trialTimeout": "PT2H"},
        "identity": {"identityType": "Managed"},
        "resources": {"instanceCount": 1, "instanceType": "gpuspot"},
        "outputs": {"checkpoints": {"jobOutputType": "uri_folder", "mode": "Upload"}},
        "trial": {"command": COMMAND, "environmentId": environment, "environmentVariables": {"A": "b"}},
    }


def put_with_children(azureml: AzureML, name: str, body: Mapping[str, Any]) -> dict[str, Job]:
    """PUT a pipeline or a sweep: the steps or trials that could begin."""
    status, answer = azureml.ask("PUT", f"/jobs/{name}", {"properties": body})
    assert status == 201, answer
    return azureml.steps(name)


def test_only_run_history_knows_what_a_step_is(azureml, pipeline_body):
    train = put_with_children(azureml, "p1", pipeline_body)["train"]
    train.state("Running")
    train.say("hello")
    assert azureml.ask("GET", f"/jobs/{train.name}")[1]["properties"] is None
    answer = azureml.ask("GET", f"/runs/{train.name}/details", host=HOST)[1]
    assert (answer["status"], [*answer["logFiles"]]) == ("Running", ["user_logs/std_log.txt"])


def test_a_trial_is_a_job_with_its_values_in_the_command(azureml, sweep_body):
    trials = put_with_children(azureml, "s1", change_body(sweep_body, {"limits/maxConcurrentTrials": 4}))
    assert [one.command.partition("--set ")[2] for one in trials.values()] == [
        "lr=1e-05 --set seed=1",
        "lr=1e-05 --set seed=2",
        "lr=0.001 --set seed=1",
        "lr=0.001 --set seed=2",
    ]
    assert trials["s1_2"].environ == {"A": "b", "AZUREML_SWEEP_lr": "0.001", "AZUREML_SWEEP_seed": "1"}
    assert trials["s1_2"].outputs["checkpoints"].prefix == "azureml/s1_2/checkpoints"
    assert azureml.ask("GET", "/jobs/s1_2")[1]["properties"]["limits"]["timeout"] == "PT2H"


def test_a_random_sweep_draws_within_its_ranges(azureml, sweep_body):
    space = {"lr": ["loguniform", [-11.5, -6.9]], "seed": ["quniform", [1, 9, 1]]}
    sampling = {"samplingAlgorithm": {"samplingAlgorithmType": "Random", "seed": 3}}
    changed = change_body(sweep_body, {"searchSpace": space, **sampling, "limits/maxConcurrentTrials": 4})
    trials = put_with_children(azureml, "s1", changed)
    values = [one.environ for one in trials.values()]
    assert len(values) == 4
    assert all(1e-5 < float(one["AZUREML_SWEEP_lr"]) < 1.1e-3 for one in values)
    assert all(float(one["AZUREML_SWEEP_seed"]) in range(1, 10) for one in values)


REFUSED_WITH_CHILDREN = {
    "pipeline_body": [
        ({"jobs": {}}, "has no jobs"),
        ({"settings/colour": "red"}, "Could not find member 'colour'"),
        ({"jobs/e-val": {}}, "node name 'e-val' is invalid"),
        ({"jobs/train/componentId": "azureml:nobody:1"}, "component of the step train was not found"),
        ({"jobs/train/computeId": "nowhere"}, "The step train: Unknown compute target"),
        ({"jobs/train/inputs": {"x": {"job_input_type": "literal", "value": "1"}}}, "does not declare"),
        ({"jobs/evaluate/inputs": {}}, "no value for its input policy"),
        ({"jobs/evaluate/inputs/policy/value": BOUND.replace("train", "trian")}, "trian.outputs.checkpoints"),
        ({"jobs/evaluate/inputs/policy/value": "${{parent.jobs.evaluate.outputs.evaluation}}"}, "cycle: evaluate"),
    ],
    "sweep_body": [
        ({"colour": "red"}, "Could not find member 'colour'"),
        ({"searchSpace": {}}, "no search space"),
        ({"searchSpace/lr": ["uniform", [0.1, 0.2]]}, "Grid sampling supports choice only"),
        ({"samplingAlgorithm": {"samplingAlgorithmType": "Tpe"}}, "'Tpe' is not supported"),
        ({"objective/goal": "best"}, "Minimize or Maximize"),
        ({"limits/maxTotalTrials": 1001}, "between 1 and 1000"),
        ({"trial/command": "x ${{search_space.lrr}}"}, "search_space.lrr"),
        ({"trial/environmentId": "azureml:nobody:1"}, "The trial: The environment"),
        ({"outputs/checkpoints/uri": "azureml://datastores/workspaceblobstore/paths/made/"}, "All trials would write"),
    ],
}


@pytest.mark.parametrize(
    ("kind", "change", "words"), [(kind, *row) for kind, rows in REFUSED_WITH_CHILDREN.items() for row in rows]
)
def test_what_azure_refuses_in_a_pipeline_or_a_sweep(azureml, request, kind, change, words):
    body = change_body(request.getfixturevalue(kind), change)
    status, answer = azureml.ask("PUT", "/jobs/whole", {"properties": body})
    assert (status, azureml.jobs) == (400, {})
    assert words in answer["error"]["message"]
