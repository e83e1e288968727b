"""Workflows that cannot become runs of this machine; the kit adopts one that can."""

import pytest
from osmo_pipelines import plan, steps
from robotrain.errors import Rejected
from robotrain.plugins.manager import get_plugins
from robotrain.submission.adoption import adopt_submitted_run
from robotrain_osmo.platform import OsmoPlatform


def adopt_refused(text: str) -> str:
    with pytest.raises(Rejected) as raised:
        adopt_submitted_run(text, get_plugins(), "osmo")
    return raised.value.problems[0].title


def test_a_workflow_of_another_tool_is_no_run(run):
    assert adopt_refused(run.id) == f"{run.id} is no run of robotrain: it has no job document, or not yet"


def test_a_workflow_that_osmo_does_not_have_is_gone(osmo):
    assert "OSMO has no workflow lerobot-train-0123abcd-1-7" in adopt_refused("lerobot-train-0123abcd-1-7")


def test_a_pipeline_is_not_adopted(osmo):
    workflow = OsmoPlatform().submit(plan(steps(settings={"pool": "default"})))["workflow"]
    assert adopt_refused(workflow) == f"{workflow} is a pipeline, which cannot be recorded on another machine"
