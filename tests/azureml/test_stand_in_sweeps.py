"""The stand-in of the workspace: sweep jobs, as Microsoft's own SDK sends them and as their trials run."""

import copy

import pytest
from azure_stand_in.ml.azureml import AzureML
from azure_stand_in.ml.job import Job
from test_stand_in_pipelines import list_children
from test_stand_in_sdk import filled, ran

COMMAND = "python3 start.py --set lr=${{search_space.lr}} --set seed=${{search_space.seed}}"


@pytest.fixture
def whole(azureml) -> dict[str, object]:
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


def put(azureml: AzureML, body: dict[str, object], name: str = "s1") -> dict[str, Job]:
    status, told = azureml.ask("PUT", f"/jobs/{name}", {"properties": body})
    assert status == 201, told
    return azureml.steps(name)


def test_as_many_trials_begin_as_may_run_at_once(azureml, whole):
    trials = put(azureml, whole)
    assert [*trials] == ["s1_0", "s1_1"]
    trials["s1_0"].state("Running")
    assert azureml.jobs["s1"].status == "Running"
    trials["s1_0"].state("Completed")
    assert list_children(azureml, "s1") == {"s1_0": "Completed", "s1_1": "NotStarted", "s1_2": "NotStarted"}
    for name in ("s1_1", "s1_2", "s1_3"):
        azureml.steps("s1")[name].state("Completed")
    assert azureml.jobs["s1"].status == "Completed"


def test_a_trial_is_a_job_with_its_values_in_the_command(azureml, whole):
    trials = put(azureml, whole | {"limits": {**whole["limits"], "maxConcurrentTrials": 4}})
    assert [one.command.partition("--set ")[2] for one in trials.values()] == [
        "lr=1e-05 --set seed=1",
        "lr=1e-05 --set seed=2",
        "lr=0.001 --set seed=1",
        "lr=0.001 --set seed=2",
    ]
    assert trials["s1_2"].environ == {"A": "b", "AZUREML_SWEEP_lr": "0.001", "AZUREML_SWEEP_seed": "1"}
    assert trials["s1_2"].outputs["checkpoints"].prefix == "azureml/s1_2/checkpoints"
    assert azureml.ask("GET", "/jobs/s1_2")[1]["properties"]["limits"]["timeout"] == "PT2H"
    assert [one["name"] for one in azureml.ask("GET", "/jobs")[1]["value"]] == ["s1"]


def test_a_random_sweep_draws_within_its_ranges(azureml, whole):
    space = {
        "lr": ["loguniform", [-11.5, -6.9]],
        "seed": ["quniform", [1, 9, 1]],
    }
    changed = {"searchSpace": space, "samplingAlgorithm": {"samplingAlgorithmType": "Random", "seed": 3}}
    trials = put(azureml, whole | changed | {"limits": {**whole["limits"], "maxConcurrentTrials": 4}})
    values = [one.environ for one in trials.values()]
    assert len(values) == 4
    assert all(1e-5 < float(one["AZUREML_SWEEP_lr"]) < 1.1e-3 for one in values)
    assert all(float(one["AZUREML_SWEEP_seed"]) in range(1, 10) for one in values)


def test_a_failed_trial_stops_no_other(azureml, whole):
    trials = put(azureml, whole)
    trials["s1_0"].fail("ExecutionFailed", "exited with status code 5")
    assert azureml.steps("s1")["s1_2"].status == "NotStarted"
    for name in ("s1_1", "s1_2", "s1_3"):
        azureml.steps("s1")[name].state("Completed")
    assert azureml.jobs["s1"].status == "Completed"


def test_a_cancel_of_the_sweep_ends_its_trials_and_begins_none(azureml, whole):
    trials = put(azureml, whole)
    trials["s1_0"].state("Running")
    assert azureml.ask("POST", "/jobs/s1/cancel")[0] == 200
    assert azureml.jobs["s1"].status == "Canceled"
    assert list_children(azureml, "s1") == {"s1_0": "Canceled", "s1_1": "Canceled"}


REFUSED = [
    ({"colour": "red"}, "Could not find member 'colour'"),
    ({"searchSpace": {}}, "no search space"),
    ({"searchSpace/lr": ["uniform", [0.1, 0.2]]}, "Grid sampling supports choice only"),
    ({"searchSpace/lr": ["choice", [[]]]}, "has no values"),
    ({"searchSpace/lr": ["uniform", [2, 1]]}, "not below its maximum"),
    ({"searchSpace/a-b": ["choice", [[1]]]}, "must be composed"),
    ({"samplingAlgorithm": {"samplingAlgorithmType": "Tpe"}}, "'Tpe' is not supported"),
    ({"objective/goal": "best"}, "Minimize or Maximize"),
    ({"objective/primaryMetric": ""}, "a primary metric"),
    ({"limits/maxTotalTrials": None}, "maxTotalTrials is required"),
    ({"limits/maxTotalTrials": 1001}, "between 1 and 1000"),
    ({"limits/maxConcurrentTrials": 0}, "between 1 and 1000"),
    ({"limits/jobLimitsType": "Command"}, "the jobLimitsType Sweep"),
    ({"trial/command": "x ${{search_space.lrr}}"}, "search_space.lrr"),
    ({"trial/command": "x ${{inputs.y}}"}, "The trial: The command refers to ${{inputs.y}}"),
    ({"trial/environmentId": "azureml:nobody:1"}, "The trial: The environment"),
    ({"outputs/checkpoints/uri": "azureml://datastores/workspaceblobstore/paths/made/"}, "All trials would write"),
    ({"computeId": "nowhere"}, "Unknown compute target"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED, ids=lambda one: " ".join(one) if isinstance(one, dict) else "")
def test_what_the_service_does_not_take_is_refused(azureml, whole, change, told):
    whole = copy.deepcopy(whole)
    for path, value in change.items():
        *above, last = path.split("/")
        at = whole
        for part in above:
            at = at[part]
        at[last] = value
        if value is None:
            del at[last]
    status, said = azureml.ask("PUT", "/jobs/s1", {"properties": whole})
    assert (status, azureml.jobs) == (400, {})
    assert told in said["error"]["message"]


DOCUMENT = """
$schema: https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json
type: sweep
name: sweep-1
display_name: sweep-1
experiment_name: lerobot-training
tags: {robotrain.run: sweep-1}
compute: azureml:k8s-robot-dev-00
sampling_algorithm: {type: random, seed: 7}
search_space:
  lr: {type: loguniform, min_value: -11.5, max_value: -6.9}
  batch: {type: choice, values: [8, 16]}
  name: {type: choice, values: ['a', 'true']}
  seed: {type: quniform, min_value: 1, max_value: 9, q: 1}
objective: {goal: maximize, primary_metric: rollout/success_rate}
limits: {max_total_trials: 3, max_concurrent_trials: 2, trial_timeout: 7200}
resources: {instance_count: 1, instance_type: gpuspot, shm_size: 8g}
identity: {type: managed}
inputs:
  dataset_asset_0: {type: uri_folder, mode: ro_mount, path: azureml:episodes:3}
outputs:
  checkpoints: {type: uri_folder, mode: upload}
trial:
  code: code
  command: >-
    python3 start.py --set lr=${{search_space.lr}} --set batch=${{search_space.batch}} --set
    name=${{search_space.name}} --set seed=${{search_space.seed}}
  environment: azureml:lerobot-training-env:2.11.0
  environment_variables: {A: b}
"""
SUBMIT = """
made = client.jobs.create_or_update(load_job(os.environ["JOB"]))
again = client.jobs.create_or_update(load_job(os.environ["JOB"]))
got = client.jobs.get(made.name)
children = sorted(client.jobs.list(parent_job_name=made.name), key=lambda one: one.name)
alone = client.jobs.get(children[0].name)
client.jobs.begin_cancel(made.name).wait()
said = [made.name, again.name, got.type, [one.name for one in children], alone.type]
print(json.dumps([*said, client.jobs.get(made.name).status]))
"""


@pytest.mark.slow
def test_the_sdk_sends_a_sweep_finds_its_trials_and_cancels_it(azureml, tmp_path):
    there = filled(azureml)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/start.py").write_text("print('hello')")
    (tmp_path / "job.yaml").write_text(DOCUMENT)
    said = ran(there, SUBMIT, {"JOB": tmp_path / "job.yaml"})
    assert said == ["sweep-1", "sweep-1", "sweep", ["sweep-1_0", "sweep-1_1"], "command", "Canceled"]
    body = there.jobs["sweep-1"].body
    assert body["searchSpace"] == {
        "lr": ["loguniform", [-11.5, -6.9]],
        "batch": ["choice", [[8, 16]]],
        "name": ["choice", [["a", "true"]]],
        "seed": ["quniform", [1, 9, 1]],
    }
    assert body["limits"]["trialTimeout"] == "PT2H"
    trial = there.jobs["sweep-1_0"]
    assert (trial.image, trial.environ["A"]) == ("pytorch/pytorch:2.11.0", "b")
    assert trial.inputs["dataset_asset_0"].prefix == "episodes/3"
    container, prefix = trial.code
    assert there.store.get(container, f"{prefix}/start.py") == b"print('hello')"
