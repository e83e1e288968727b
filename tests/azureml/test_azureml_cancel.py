"""`robotrain cancel` of a job: what Azure ML answers is not its end, so that it is looked at."""

import threading
import time

import pytest
from azureml_plans import find_rejection
from robotrain_azureml.platform import AZUREML


def test_cancel_waits_until_the_job_has_ended(run):
    run.azure.here.cancelling = "slow"
    run.set_native_state("Running")
    ends = threading.Timer(0.3, lambda: run.job.state("Canceled"))
    ends.start()
    AZUREML.engine.cancel(run.reference)
    ends.join()
    assert run.job.finished


@pytest.mark.parametrize("status", [400, 409])
def test_refusal_is_reported_at_once(run, status):
    run.azure.fault("POST .*/cancel", status=status, code="UserError")
    began = time.monotonic()
    problem = find_rejection(lambda: AZUREML.engine.cancel(run.set_native_state("Running").reference))
    assert time.monotonic() - began < 5
    assert problem.code == "cancel-refused"
    assert run.status().state == "running"


def test_refusal_of_an_ended_job_is_ignored(run):
    run.set_native_state("Running")
    run.azure.fault("POST .*/cancel", status=400, code="UserError", act=lambda: run.job.state("Completed"))
    AZUREML.engine.cancel(run.reference)
    assert run.status().state == "succeeded"


def test_exit_code_of_cancel(run, robotrain):
    name = run.set_native_state("Running").record()
    refused = run.azure.fault("POST .*/cancel", status=409, code="UserError", times=1)
    answer = robotrain("cancel", name)
    assert (answer.exit_code, "cancel-refused" in answer.stderr, refused.times) == (1, True, 0)
    answer = robotrain("cancel", name)
    assert answer.exit_code == 0
    assert f"{name}  cancelled" in answer.stdout
