"""The stand-in of the workspace: pipeline jobs, as Microsoft's own SDK sends them and as their steps run."""

import copy

import pytest
from azure_stand_in.ml.azureml import AzureML
from azure_stand_in.ml.job import Job
from test_stand_in_sdk import filled, ran

HOST = "westeurope.api.azureml.ms"
BOUND = "${{parent.jobs.train.outputs.checkpoints}}"
PORT = {"type": "uri_folder", "mode": "ro_mount"}


@pytest.fixture
def whole(azureml) -> dict[str, object]:
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


def put(azureml: AzureML, body: dict[str, object], name: str = "p1") -> dict[str, Job]:
    status, told = azureml.ask("PUT", f"/jobs/{name}", {"properties": body})
    assert status == 201, told
    return azureml.steps(name)


def list_children(azureml: AzureML, name: str = "p1") -> dict[str, str]:
    """The status of each child, by the name that it is shown under."""
    found, query = [], "api-version=v1.0"
    while query:
        status, told = azureml.ask("GET", f"/runs/{name}/children", query=query, host=HOST)
        assert status == 200
        found += told["value"]
        query = (told["nextLink"] or "").partition("?")[2]
    return {one["displayName"]: one["status"] for one in reversed(found)}


def test_a_step_begins_when_the_earlier_ones_have_ended_well(azureml, whole):
    steps = put(azureml, whole)
    assert list_children(azureml) == {"run-train": "NotStarted", "run-other": "NotStarted"}
    steps["train"].state("Running")
    assert azureml.jobs["p1"].status == "Running"
    steps["train"].state("Completed")
    steps["other"].state("Completed")
    later = azureml.steps("p1")["evaluate"]
    assert list_children(azureml)["run-evaluate"] == "NotStarted"
    assert later.inputs["policy"].prefix == steps["train"].outputs["checkpoints"].prefix
    later.state("Completed")
    assert azureml.jobs["p1"].status == "Completed"


def test_a_failed_step_ends_what_runs_unless_the_others_go_on(azureml, whole):
    steps = put(azureml, whole)
    steps["train"].fail("ExecutionFailed", "exited with status code 5")
    assert list_children(azureml) == {"run-train": "Failed", "run-other": "Canceled"}
    assert azureml.jobs["p1"].status == "Failed"
    whole["settings"]["continue_on_step_failure"] = True
    steps = put(azureml, whole, "p2")
    steps["train"].fail("ExecutionFailed", "exited with status code 5")
    assert azureml.jobs["p2"].status == "Running"
    steps["other"].state("Completed")
    assert (list_children(azureml, "p2"), azureml.jobs["p2"].status) == (
        {"run-train": "Failed", "run-other": "Completed"},
        "Failed",
    )


def test_a_cancel_of_the_pipeline_ends_its_steps(azureml, whole):
    steps = put(azureml, whole)
    steps["train"].state("Running")
    assert azureml.ask("POST", "/jobs/p1/cancel")[0] == 200
    assert (azureml.jobs["p1"].status, steps["train"].status) == ("Canceled", "Canceled")
    azureml.cancelling = "slow"
    steps = put(azureml, whole, "p2")
    azureml.ask("POST", "/jobs/p2/cancel")
    assert (azureml.jobs["p2"].status, steps["train"].status) == ("CancelRequested", "CancelRequested")
    for step in steps.values():
        step.state("Canceled")
    assert azureml.jobs["p2"].status == "Canceled"


def test_only_run_history_knows_what_a_step_is(azureml, whole):
    train = put(azureml, whole)["train"]
    train.state("Running")
    train.say("hello")
    assert azureml.ask("GET", f"/jobs/{train.name}")[1]["properties"] is None
    assert [one["name"] for one in azureml.ask("GET", "/jobs")[1]["value"]] == ["p1"]
    told = azureml.ask("GET", f"/runs/{train.name}/details", host=HOST)[1]
    assert (told["status"], [*told["logFiles"]]) == ("Running", ["user_logs/std_log.txt"])
    told = azureml.ask("GET", f"/runs/{train.name}", host=HOST)[1]
    assert (told["parentRunId"], told["tags"]) == ("p1", {"robotrain.run": "run-train"})


def test_a_step_is_reused_unless_the_pipeline_forces_it(azureml, whole):
    put(azureml, whole)["other"].state("Completed")
    assert list_children(azureml)["run-other"] == "Completed"
    put(azureml, whole, "forced")
    assert list_children(azureml, "forced")["run-other"] == "NotStarted"
    put(azureml, whole | {"settings": {}}, "reused")
    assert list_children(azureml, "reused")["run-other"] == "Completed"
    spec = {"type": "command", "command": "true", "is_deterministic": False}
    spec["environment"] = azureml.environment("lerobot", "1", "pytorch/pytorch:2.11.0")
    whole["jobs"]["other"]["componentId"] = register(azureml, spec, "9")
    put(azureml, whole, "varies")["other"].state("Completed")
    put(azureml, whole | {"settings": {}}, "varied")
    assert list_children(azureml, "varied")["run-other"] == "NotStarted"


REFUSED = [
    ({"jobs": {}}, "has no jobs"),
    ({"colour": "red"}, "Could not find member 'colour'"),
    ({"settings/colour": "red"}, "Could not find member 'colour'"),
    ({"jobs/train/gpus": 1}, "Could not find member 'gpus'"),
    ({"jobs/e-val": "train"}, "node name 'e-val' is invalid"),
    ({"jobs/Register": "train"}, "node name 'Register' is invalid"),
    ({"jobs/train/componentId": "azureml:nobody:1"}, "component of the step train was not found"),
    ({"jobs/train/computeId": "nowhere"}, "The step train: Unknown compute target"),
    ({"jobs/train/computeId": None}, "The step train: Unknown compute target"),
    ({"jobs/train/limits": {"job_limits_type": "Command", "timeout": "soon"}}, "The step train: The timeout 'soon'"),
    ({"jobs/train/identity/client_id": "nobody"}, "The step train: The identity nobody"),
    ({"jobs/train/environment_variables/A": "${{inputs.x}}"}, "The step train: The environment variable A"),
    ({"jobs/train/inputs": {"x": {"job_input_type": "literal", "value": "1"}}}, "does not declare"),
    ({"jobs/evaluate/inputs": {}}, "no value for its input policy"),
    ({"jobs/evaluate/inputs/policy/value": BOUND.replace("train", "trian")}, "trian.outputs.checkpoints"),
    ({"jobs/evaluate/inputs/policy/value": BOUND.replace("checkpoints", "x")}, "train.outputs.x"),
    ({"jobs/evaluate/inputs/policy/value": "${{parent.jobs.evaluate.outputs.evaluation}}"}, "cycle: evaluate"),
    ({"experimentName": "a b"}, "Experiment name must be"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED, ids=lambda one: " ".join(one) if isinstance(one, dict) else "")
def test_what_the_service_does_not_take_is_refused(azureml, whole, change, told):
    for path, value in change.items():
        *above, last = path.split("/")
        at = whole
        for part in above:
            at = at[part]
        at[last] = copy.deepcopy(whole["jobs"]["train"]) if value == "train" else value
    status, said = azureml.ask("PUT", "/jobs/p1", {"properties": whole})
    assert (status, azureml.jobs) == (400, {})
    assert told in said["error"]["message"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"command": ""}, "command field"),
        ({"command": "x ${{inputs.y}}"}, "${{inputs.y}}"),
        ({"environment": "azureml:nobody:1"}, "environment azureml:nobody:1 was not found"),
        ({"code": "azureml:nobody:1"}, "code azureml:nobody:1 was not found"),
        ({"colour": "red"}, "Could not find member 'colour'"),
        ({"type": "pipeline"}, "'pipeline'"),
        ({"inputs": {"x": {"type": "uri_folder", "mode": "ReadOnlyMount"}}}, "mode 'ReadOnlyMount'"),
    ],
)
def test_a_component_that_cannot_run_is_refused(azureml, whole, change, told):
    spec = azureml.ask("GET", "/components/azureml_anonymous/versions/0")[1]["properties"]["componentSpec"]
    at = "/components/azureml_anonymous/versions/9"
    status, said = azureml.ask("PUT", at, {"properties": {"componentSpec": spec | change}})
    assert (status, azureml.ask("GET", at)[0]) == (400, 404)
    assert told in said["error"]["message"]


DOCUMENT = """
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
name: train-eval-1
display_name: shown
experiment_name: lerobot-training
tags: {robotrain.run: train-eval-1}
settings: {continue_on_step_failure: true, force_rerun: true}
jobs:
  train:
    type: command
    display_name: run-train
    tags: {robotrain.run: run-train}
    component:
      type: command
      is_deterministic: false
      code: code
      command: python3 start.py
      environment: azureml:lerobot-training-env:2.11.0
      inputs: {dataset_asset_0: {type: uri_folder, mode: ro_mount}}
      outputs: {checkpoints: {type: uri_folder, mode: upload}}
    compute: azureml:k8s-robot-dev-00
    resources: {instance_count: 1, instance_type: gpuspot, shm_size: 8g}
    limits: {timeout: 43200}
    identity: {type: managed}
    environment_variables: {A: b}
    inputs: {dataset_asset_0: {type: uri_folder, mode: ro_mount, path: azureml:episodes:3}}
    outputs: {checkpoints: {type: uri_folder, mode: upload, path: azureml://datastores/workspaceblobstore/paths/made/}}
  evaluate:
    type: command
    display_name: run-evaluate
    code: code
    command: python3 start.py
    environment: azureml:lerobot-training-env:2.11.0
    compute: azureml:k8s-robot-dev-00
    resources: {instance_count: 1, instance_type: gpuspot}
    identity: {type: managed}
    inputs:
      policy: {type: uri_folder, mode: ro_mount, path: '${{parent.jobs.train.outputs.checkpoints}}'}
      model: {type: custom_model, mode: download, path: azureml:pusher:7}
"""
SUBMIT = """
made = client.jobs.create_or_update(load_job(os.environ["JOB"]))
again = client.jobs.create_or_update(load_job(os.environ["JOB"]))
got = client.jobs.get(made.name)
(child,) = client.jobs.list(parent_job_name=made.name)
alone = client.jobs.get(child.name)
client.jobs.begin_cancel(made.name).wait()
said = [made.name, made.status, again.name, got.type, child.display_name, child.tags, alone.status, child.name]
print(json.dumps([*said, client.jobs.get(made.name).status]))
"""


@pytest.mark.slow
def test_the_sdk_sends_a_pipeline_finds_its_steps_and_cancels_it(azureml, tmp_path):
    there = filled(azureml)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/start.py").write_text("print('hello')")
    (tmp_path / "job.yaml").write_text(DOCUMENT)
    *said, name, end = ran(there, SUBMIT, {"JOB": tmp_path / "job.yaml"})
    assert said == [
        *("train-eval-1", "NotStarted", "train-eval-1", "pipeline"),
        *("run-train", {"robotrain.run": "run-train"}, "NotStarted"),
    ]
    assert end == "Canceled"
    assert there.steps("train-eval-1")["train"].name == name
    train = there.jobs[name]
    assert (train.image, train.environ) == ("pytorch/pytorch:2.11.0", {"A": "b"})
    assert (train.inputs["dataset_asset_0"].prefix, train.outputs["checkpoints"].prefix) == ("episodes/3", "made")
    container, prefix = train.code
    assert there.store.get(container, f"{prefix}/start.py") == b"print('hello')"
    uploads = [line for line in there.calls if line.startswith("PUT") and "/start.py" in line]
    assert len(uploads) == 2, "the content, and that it is complete"
    specs = [one["componentSpec"] for one in there.ml.components["azureml_anonymous"].values()]
    assert [spec["is_deterministic"] for spec in specs] == [False, True]
