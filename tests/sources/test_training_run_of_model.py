"""The run that trained a registered policy, found by the tags of its version."""

import pytest
from robotrain_sources.mlflow import fetch_program

TRAINED = {"robotrain_run": "lerobot-train-1", "checkpoint": "000400", "checkpoint_sha256": "c", "job_digest": "d"}
KNOWN = {
    "policy_run": "lerobot-train-1",
    "policy_step": "400",
    "policy_checkpoint_sha256": "c",
    "policy_job_digest": "d",
}
EVALUATED = {**TRAINED, "robotrain_run": "lerobot-eval-1", "policy_uri": "/p"}


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({}, {}),
        (TRAINED, KNOWN),
        ({**EVALUATED, **KNOWN}, KNOWN),
        (EVALUATED, {"policy_step": "400"}),
        ({**EVALUATED, "checkpoint": "000000"}, {}),
        ({"checkpoint": "best"}, {}),
    ],
)
def test_a_run_that_only_evaluated_it_is_not_the_one_that_made_it(tags, told):
    assert fetch_program.read_policy_lineage(tags) == told
