"""Many runs on Azure ML: one request lists them, whatever they do."""

import copy
import dataclasses

import pytest
from azureml_observed import JOB, RUN
from robotrain.store import records
from robotrain_azureml.platform import AzureMLPlatform

BATCH, DETAILS = "/batchrundata", "/details"


@pytest.fixture
def jobs(azureml, run):
    """Makes jobs in these states of Azure ML, each with the record of a run; their references."""

    def make(*states: str) -> list[dict[str, str]]:
        run.record()
        made = []
        for number, state in enumerate(states):
            name = f"{JOB}-{number}"
            job = copy.copy(run.job)
            job.name, job.times = name, dict(run.job.times)
            for before in ("Running",) if state in ("Completed", "Failed", "Canceled") else ():
                job.state(before)
            job.state(state)
            azureml.ml.jobs[name.lower()] = job
            reference = run.reference | {"job": name, "run": f"act-{number}-1"}
            record = dataclasses.replace(records.read_record(RUN), run=f"act-{number}-1", reference=reference)
            records.write_record(record)
            made.append(reference)
        (records.get_run_folder(RUN) / records.RECORD_FILE).unlink()
        azureml.calls.clear()
        return made

    return make


def count(azureml, part: str) -> int:
    """How many requests had this in their path."""
    return sum(part in call for call in azureml.calls)


def test_one_request_tells_how_many_live_runs_are(robotrain, azureml, jobs):
    jobs(*["Running"] * 13, *["Queued"] * 13)
    listed = robotrain("runs", "--json").json["runs"]
    assert sorted(one["state"] for one in listed) == ["pending"] * 13 + ["running"] * 13
    assert count(azureml, BATCH) == 1
    assert count(azureml, DETAILS) <= 8  # of a few logs


@pytest.mark.parametrize("state", ["NotStarted", "Preparing", "Queued", "Running", "Completed", "Failed", "Canceled"])
def test_a_list_and_a_query_agree(state, azureml, jobs):
    references = jobs(state, "Running")
    listed, other = AzureMLPlatform().list_statuses(references)
    single = AzureMLPlatform().status(references[0])
    assert (listed.finished, other.state) == (single.finished, "running")
    if not single.finished or single.state == "succeeded":
        assert listed == single


def test_a_job_that_is_gone_is_asked_for_alone(robotrain, azureml, jobs):
    jobs("Running", "Queued", "Running")
    del azureml.ml.jobs[f"{JOB}-1".lower()]
    states = {one["run"]: one["state"] for one in robotrain("runs", "--json").json["runs"]}
    assert states == {"act-0-1": "running", "act-1-1": "gone", "act-2-1": "running"}


def test_a_region_out_of_reach_lists_nothing(azureml, jobs):
    references = jobs("Running", "Queued")
    azureml.fault("POST .*batchrundata", status=403, code="Forbidden")
    assert AzureMLPlatform().list_statuses(references) == [None, None]
