"""Azure is busy while a submit looks things up: it waits, says so, and never sends a job with less than it needs."""

import pytest
import yaml
from azure_stand_in.ml.azureml import AzureML
from azure_stand_in.tenant import CLIENT
from azureml_workspace_plans import COMPUTE, list_codes, make_plan, prepare_workspace, run_preflight
from robotrain.errors import Rejected
from robotrain_azure import arm, lookup

COMPUTE_CALL, ENVIRONMENT_CALL = f"GET .*/computes/{COMPUTE}", "GET .*/environments/"
SUBMIT = ("submit", "lerobot-train", "--platform", "azureml", "--dataset-asset", "azureml:episodes:3")


@pytest.fixture
def workspace(azureml, name_workspace) -> AzureML:
    """A workspace that has everything a job needs; its compute has an identity."""
    prepare_workspace(azureml)
    azureml.store.put(azureml.container, {"episodes/3/meta/info.json": b"{}"})
    azureml.data("episodes", 3, "episodes/3")
    name_workspace(azureml, COMPUTE)
    return azureml


@pytest.mark.parametrize(
    ("how", "waited"),
    [
        ({"status": 429, "code": "TooManyRequests", "retry_after": 2}, [2.0, 2.0]),
        ({"status": 503, "code": "ServerBusy"}, [1.0, 2.0]),
        ({"gone": True}, [1.0, 2.0]),
    ],
)
def test_a_busy_lookup_of_the_compute_is_repeated_and_the_job_has_its_identity(
    robotrain, workspace, pauses, how, waited
):
    workspace.fault(COMPUTE_CALL, times=2, **how)
    answer = robotrain(*SUBMIT, "--dry-run", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert yaml.safe_load(answer.json["files"]["job.yaml"]["text"])["identity"]["client_id"] == CLIENT
    assert pauses == waited
    assert [line.partition(":")[0] for line in answer.stderr.splitlines() if line.startswith("waiting ")] == [
        f"waiting {seconds:g} s" for seconds in waited
    ]


@pytest.mark.parametrize(
    ("call", "retry_after"), [(COMPUTE_CALL, 60), (ENVIRONMENT_CALL, None), ("GET .*/workspaces/robots-ml\\?", 60)]
)
def test_a_submit_stops_after_a_quarter_of_an_hour(robotrain, workspace, pauses, call, retry_after):
    workspace.fault(call, status=429, code="TooManyRequests", retry_after=retry_after)
    answer = robotrain(*SUBMIT, "--json")
    assert (answer.exit_code, workspace.jobs) == (4, {})
    assert "platform-busy" in {problem["code"] for problem in answer.json["problems"] if problem["severity"] == "error"}
    assert 800 < sum(pauses) <= lookup.PATIENCE_SECONDS


def test_a_pause_that_is_longer_than_the_patience_is_not_begun(robotrain, workspace, pauses):
    workspace.fault(COMPUTE_CALL, status=429, code="TooManyRequests", retry_after=1000)
    answer = robotrain(*SUBMIT)
    assert (answer.exit_code, workspace.jobs, pauses) == (4, {}, [])
    assert answer.stderr.count("[platform-busy]") == 1, "of the look-up and of the preflight"


@pytest.mark.parametrize(
    ("call", "status"), [(COMPUTE_CALL, 429), (ENVIRONMENT_CALL, 503), ("GET .*/workspaces/robots-ml\\?", 429)]
)
def test_the_driver_of_a_pipeline_asks_again_later(workspace, pauses, call, status):
    workspace.fault(call, status=status, retry_after=1000)
    errors = [problem for problem in run_preflight(make_plan(workspace)) if problem.severity == "error"]
    assert errors
    assert Rejected(errors).transient


def test_threads_that_wait_for_the_same_say_so_once(workspace, pauses, capsys):
    workspace.fault("GET .*/(environments|datastores|permissions)", times=3, status=429, retry_after=5)
    assert not [finding for finding in list_codes(run_preflight(make_plan(workspace))) if finding[1] == "error"]
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("waiting ")]
    assert 1 <= len(lines) <= len(pauses)


def test_a_later_submit_has_its_own_quarter_of_an_hour(pauses):
    busy = arm.ArmError("busy", 429)
    waits = lookup._WAITS
    while waits.wait(busy, 60):
        pass
    assert sum(pauses) == 900
    assert not waits.wait(busy, 60)
    pauses.append(lookup.QUIET_SECONDS + 1)
    assert waits.wait(busy, 60)


@pytest.mark.parametrize(
    ("message", "passes"),
    [
        ("Failed to resolve 'management.azure.com'", False),
        ("Failed to establish a new connection: Connection refused", False),
        ("('Connection aborted.', ConnectionResetError(104))", True),
        ("Read timed out. (read timeout=10)", True),
    ],
)
def test_only_what_may_pass_is_waited_for(message, passes):
    kind = type("ServiceRequestError", (Exception,), {})
    assert arm.make_no_answer_error(kind(message), "management.azure.com").is_passing == passes
