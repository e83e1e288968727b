"""The stand-in of the workspace: sweep jobs, as Microsoft's own SDK sends them and as their trials run."""

import copy

import pytest
from azure_stand_in.ml.azureml import AzureML
from azure_stand_in.ml.job import Job

COMMAND = "python3 start.py --set lr=${{search_space.lr}} --set seed=${{search_space.seed}}"


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


def put_sweep(azureml: AzureML, body: dict[str, object], name: str = "s1") -> dict[str, Job]:
    status, told = azureml.ask("PUT", f"/jobs/{name}", {"properties": body})
    assert status == 201, told
    return azureml.steps(name)


def test_a_trial_is_a_job_with_its_values_in_the_command(azureml, sweep_body):
    trials = put_sweep(azureml, sweep_body | {"limits": {**sweep_body["limits"], "maxConcurrentTrials": 4}})
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
    changed = {"searchSpace": space, "samplingAlgorithm": {"samplingAlgorithmType": "Random", "seed": 3}}
    trials = put_sweep(azureml, sweep_body | changed | {"limits": {**sweep_body["limits"], "maxConcurrentTrials": 4}})
    values = [one.environ for one in trials.values()]
    assert len(values) == 4
    assert all(1e-5 < float(one["AZUREML_SWEEP_lr"]) < 1.1e-3 for one in values)
    assert all(float(one["AZUREML_SWEEP_seed"]) in range(1, 10) for one in values)


REFUSED = [
    ({"colour": "red"}, "Could not find member 'colour'"),
    ({"searchSpace": {}}, "no search space"),
    ({"searchSpace/lr": ["uniform", [0.1, 0.2]]}, "Grid sampling supports choice only"),
    ({"samplingAlgorithm": {"samplingAlgorithmType": "Tpe"}}, "'Tpe' is not supported"),
    ({"objective/goal": "best"}, "Minimize or Maximize"),
    ({"limits/maxTotalTrials": 1001}, "between 1 and 1000"),
    ({"trial/command": "x ${{search_space.lrr}}"}, "search_space.lrr"),
    ({"trial/environmentId": "azureml:nobody:1"}, "The trial: The environment"),
    ({"outputs/checkpoints/uri": "azureml://datastores/workspaceblobstore/paths/made/"}, "All trials would write"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED, ids=lambda one: " ".join(one) if isinstance(one, dict) else "")
def test_what_the_service_does_not_take_is_refused(azureml, sweep_body, change, told):
    sweep_body = copy.deepcopy(sweep_body)
    for path, value in change.items():
        *above, last = path.split("/")
        at = sweep_body
        for part in above:
            at = at[part]
        at[last] = value
        if value is None:
            del at[last]
    status, said = azureml.ask("PUT", "/jobs/s1", {"properties": sweep_body})
    assert (status, azureml.jobs) == (400, {})
    assert told in said["error"]["message"]
