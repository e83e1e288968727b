"""Jobs of other machines: which cannot become runs of this one, and how they are listed; the kit adopts one."""

import pytest
from azure_stand_in.ml import jobs
from azure_stand_in.sign_in import PERSON
from azureml_plans import job, render_plan
from azureml_workspace_plans import make_submittable_plan
from robotrain.errors import Rejected
from robotrain.plugins.manager import get_plugins
from robotrain.submission.adoption import adopt_submitted_run
from robotrain_azureml.platform import AZUREML
from robotrain_azureml.settings import AzureMLSettings


def adopt_refused(text: str) -> str:
    with pytest.raises(Rejected) as raised:
        adopt_submitted_run(text, get_plugins(), "azureml")
    return raised.value.problems[0].title


@pytest.fixture
def workspace(azureml, monkeypatch):
    """The workspace of the stand-in, as this machine is configured."""
    for name, value in azureml.settings.items():
        monkeypatch.setenv(f"ROBOTRAIN_{name.upper()}", value)
    return azureml


def test_a_job_whose_document_has_no_record_is_no_run(workspace):
    name = AZUREML.engine.submit(make_submittable_plan(workspace))["job"]
    assert adopt_refused(name).startswith(f"{name} cannot be recorded here")


def test_a_job_that_the_workspace_does_not_have_is_gone(workspace):
    assert "has no job lerobot-train-0123abcd-1-abc123" in adopt_refused("lerobot-train-0123abcd-1-abc123")


def test_a_job_needs_a_configured_workspace():
    title = "lerobot-train-0123abcd-1-abc123 is a job of Azure ML, and no workspace is configured on this machine"
    assert adopt_refused("lerobot-train-0123abcd-1-abc123") == title


def submit_runs(workspace, count: int) -> list[str]:
    """Submit so many attempts of a job, and return the names of their jobs."""
    workspace.kubernetes()
    plans = [render_plan(job(), attempt, **workspace.settings) for attempt in range(1, count + 1)]
    return [AZUREML.engine.submit(plan)["job"] for plan in plans]


@pytest.mark.parametrize("count", [0, 3])
def test_jobs_are_listed_by_pages(workspace, count):
    names = submit_runs(workspace, count)
    del workspace.calls[:]
    listed = [*AZUREML.engine.list_submitted(AzureMLSettings(**workspace.settings), everyone=False)]
    assert [submission.text for submission in listed] == names[::-1], "the newest first"
    assert [submission.run for submission in listed] == [name.rpartition("-")[0] for name in names[::-1]]
    assert {(submission.state, submission.user) for submission in listed} <= {("pending", PERSON)}
    assert len(workspace.calls) <= -(-count // 2) + 2, workspace.calls
    assert len([call for call in workspace.calls if "/jobs?" in call]) == max(1, -(-count // 2))


def test_jobs_of_others_and_of_other_tools_are_told_apart(workspace, monkeypatch):
    platform = AZUREML.engine
    mine, theirs, foreign = submit_runs(workspace, 3)
    workspace.jobs[foreign].body["tags"] = {"team": "robots"}
    find = jobs.resource
    monkeypatch.setattr(jobs, "resource", lambda job: _sent_by("ann", find(job)) if job.name == theirs else find(job))
    settings = AzureMLSettings(**workspace.settings)
    assert [submission.text for submission in platform.list_submitted(settings, everyone=False)] == [mine]
    listed = [(submission.text, submission.user) for submission in platform.list_submitted(settings, everyone=True)]
    assert listed == [(theirs, "ann"), (mine, PERSON)]


def test_pipelines_and_sweeps_are_told_apart(workspace):
    names = submit_runs(workspace, 3)
    for name, kind in zip(names, ("Command", "Pipeline", "Sweep"), strict=True):
        workspace.jobs[name].body["jobType"] = kind
    listed = AZUREML.engine.list_submitted(AzureMLSettings(**workspace.settings), everyone=False)
    assert [submission.text for submission in listed if submission.can_be_adopted] == names[:1]


def _sent_by(person: str, answer: dict) -> dict:
    return {**answer, "systemData": {**answer["systemData"], "createdBy": person}}


def test_without_a_workspace_azureml_is_not_set_up():
    assert AZUREML.engine.list_submitted(AzureMLSettings(), everyone=False) is None


def test_other_addresses_are_no_jobs(workspace):
    settings = AzureMLSettings(**workspace.settings)
    assert AZUREML.engine.find_submitted("https://ml.azure.com/runs/x", settings) is None
    assert workspace.calls == []
