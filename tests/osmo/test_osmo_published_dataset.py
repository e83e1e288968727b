"""`--publish-dataset`: an OSMO dataset that the task writes when it has succeeded, beside what it publishes."""

from typing import Any

import osmo_plans
import pytest
from osmo_plans import TWO, job, read_task, render_plan
from robotrain_osmo.platform import OSMO


@pytest.mark.parametrize(
    ("overrides", "output"),
    [
        ({"storage_account": "acc"}, {"url": "azure://acc/lerobot-datasets/act/{{workflow_id}}"}),
        ({"buckets": "models=s3://robots/m"}, {"url": "s3://robots/m/act/{{workflow_id}}"}),
        ({"server": "6.3"}, {"dataset": {"name": "models/act"}}),
    ],
)
def test_policy_is_an_output_of_the_task(osmo, overrides: dict[str, Any], output: dict[str, Any]) -> None:
    name = "act" if "storage_account" in overrides else "models/act"
    made = render_plan(job(publish_url=TWO), publish_dataset=name, pool="default", **overrides)
    task = read_task(made)
    assert task["outputs"] == [output]
    assert task["environment"]["ROBOTRAIN_STEP_OUTPUT"] == "{{output}}"
    document = osmo_plans.read_document(made)
    assert (document.placement.handover, document.parameters["publish_url"]) == ("${ROBOTRAIN_STEP_OUTPUT}", TWO)
    osmo.configure(client=f"{overrides.get('server', '6.4')}.0", service=f"{overrides.get('server', '6.4')}.0")
    osmo.configure(buckets=["models"])
    reference = OSMO.engine.submit(made)
    written = output.get("url", "models/act").replace("{{workflow_id}}", reference["workflow"])
    assert reference["dataset"] == OSMO.engine.describe_reference(reference)["dataset"] == written


def test_dataset_is_listed_once_it_is_written(osmo, tmp_path) -> None:
    plan = render_plan(job(), publish_dataset="models/act", storage_account="acc", pool="default")
    reference = OSMO.engine.submit(plan)
    osmo.set_state(reference["workflow"], task_status="RUNNING")
    osmo.set_state(reference["workflow"], task_status="COMPLETED", exit_code=0)
    assert list(OSMO.engine.outputs(reference)) == []
    osmo.put(reference["dataset"], {"policy/config.json": b"{}"})
    (output,) = OSMO.engine.outputs(reference)
    assert (output.name, output.uri) == ("dataset", reference["dataset"])
    OSMO.engine.download(reference, output, tmp_path / "brought")
    assert (tmp_path / "brought/policy/config.json").read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("models/act:3", "value-invalid"),
        ("a b", "value-invalid"),
        ("s3://a/b", "value-invalid"),
        ("models/act", "resource-unknown"),
    ],
)
def test_invalid_dataset_is_refused(name: str, code: str) -> None:
    assert osmo_plans.find_codes(job(), publish_dataset=name) == {code}
