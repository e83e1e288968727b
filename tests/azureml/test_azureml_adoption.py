"""Jobs that cannot become runs of this machine; the kit adopts one that can."""

import pytest
from azureml_workspace_plans import make_submittable_plan
from robotrain.errors import Rejected
from robotrain.plugins.manager import get_plugins
from robotrain.submission.adoption import adopt_submitted_run
from robotrain_azureml.platform import AzureMLPlatform


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
    name = AzureMLPlatform().submit(make_submittable_plan(workspace))["job"]
    assert adopt_refused(name).startswith(f"{name} cannot be recorded here")


def test_a_job_that_the_workspace_does_not_have_is_gone(workspace):
    assert "has no job lerobot-train-0123abcd-1-abc123" in adopt_refused("lerobot-train-0123abcd-1-abc123")


def test_a_job_needs_a_configured_workspace():
    title = "lerobot-train-0123abcd-1-abc123 is a job of Azure ML, and no workspace is configured on this machine"
    assert adopt_refused("lerobot-train-0123abcd-1-abc123") == title
