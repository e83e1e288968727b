"""`robotrain cancel` of a job: what Azure ML answers is not its end, so that it is looked at."""

import threading
import time

import pytest
from azureml_observed_run import JOB
from robotrain.errors import Rejected
from robotrain_azureml.platform import AzureMLPlatform


def cancels(run) -> int:
    return sum(call.startswith("POST") and f"/jobs/{JOB}/cancel" in call for call in run.azure.calls)


def test_it_is_waited_for_until_it_has_ended(run):
    run.azure.here.cancelling = "slow"
    run.set_native_state("Running")
    ends = threading.Timer(0.3, lambda: run.job.state("Canceled"))
    ends.start()
    AzureMLPlatform().cancel(run.reference)
    ends.join()
    assert run.job.finished


@pytest.mark.slow
def test_passing_error_while_waiting_is_ignored(run):
    run.azure.here.cancelling = "slow"
    run.set_native_state("Running")
    run.azure.fault("GET .*/jobs/", where="arm", status=503, after=1, times=2)
    ends = threading.Timer(0.3, lambda: run.job.state("Canceled"))
    ends.start()
    AzureMLPlatform().cancel(run.reference)
    ends.join()


def test_job_that_does_not_end_is_reported_as_pending(run, monkeypatch):
    monkeypatch.setattr(AzureMLPlatform, "cancel_seconds", 0.1)
    run.azure.here.cancelling = "slow"
    with pytest.raises(Rejected, match="had not ended") as raised:
        AzureMLPlatform().cancel(run.set_native_state("Running").reference)
    assert raised.value.problems[0].code == "cancel-pending"


@pytest.mark.parametrize("status", [400, 409])
def test_a_refusal_is_told_at_once(run, status):
    run.azure.fault("POST .*/cancel", status=status, code="UserError")
    began = time.monotonic()
    with pytest.raises(Rejected) as raised:
        AzureMLPlatform().cancel(run.set_native_state("Running").reference)
    assert time.monotonic() - began < 5
    assert raised.value.problems[0].code == "cancel-refused"
    assert run.status().state == "running"


def test_refusal_of_an_ended_job_is_ignored(run):
    run.set_native_state("Running")
    run.azure.fault("POST .*/cancel", status=400, code="UserError", act=lambda: run.job.state("Completed"))
    AzureMLPlatform().cancel(run.reference)
    assert run.status().state == "succeeded"


@pytest.mark.slow
def test_missing_role_is_suggested(run):
    run.azure.fault("POST .*/cancel", status=403, code="AuthorizationFailed")
    with pytest.raises(Rejected) as raised:
        AzureMLPlatform().cancel(run.set_native_state("Running").reference)
    (found,) = raised.value.problems
    assert found.code == "azureml-not-allowed"
    assert "AzureML Data Scientist" in found.suggestions[0].text


def test_exit_code_of_cancel(run, robotrain):
    name = run.set_native_state("Running").record()
    refused = run.azure.fault("POST .*/cancel", status=409, code="UserError", times=1)
    answer = robotrain("cancel", name)
    assert (answer.exit_code, "cancel-refused" in answer.stderr, refused.times) == (1, True, 0)
    answer = robotrain("cancel", name)
    assert answer.exit_code == 0
    assert f"{name} cancelled" in answer.stdout
