"""Pipelines that would register a policy which nothing shows to be good enough are refused before anything is sent."""

from pathlib import Path

import pytest

PUSHT = Path(__file__).parents[2] / "examples/pusht-mini"
PIPELINE = """
name: cheating
steps:
  old: {{job: {job}}}
  new: {{job: {job}, parameters: {{seed: 2}}}}
  compare:
    workload: lerobot-eval
    parameters: {{env: pusht, register_model: gated, {parameters}}}
    sources: {{policy: [{{from: new}}], {reference}}}
"""
OLD = "reference: [{from: old}]"
UNGATED = "value-missing step compare: --register-model"


@pytest.fixture
def render(robotrain, tmp_path):
    """Render the pipeline with parameters of its comparison: the answer."""

    def render(parameters: str, reference: str = OLD):
        path = tmp_path / "here/pipeline.yaml"
        path.write_text(PIPELINE.format(job=PUSHT / "job.yaml", parameters=parameters, reference=reference))
        return robotrain("pipeline", "render", path, "--platform", "local")

    return render


def test_a_gate_against_another_training_is_a_pipeline(render):
    assert render("margin: 0.1").exit_code == 0


@pytest.mark.parametrize(
    ("parameters", "reference", "problems"),
    [
        ("margin: 0.1", "reference: [{from: new}]", ["sources-conflict step compare: reference"]),
        ("margin: 0.6", OLD, ["value-invalid step compare: pipeline.yaml:8", UNGATED]),
        ("margin: 0", OLD, ["value-invalid step compare: pipeline.yaml:8", UNGATED]),
        ("margin: 0.1, confidence: 0.3", OLD, ["value-invalid step compare: pipeline.yaml:8"]),
        ("margin: 0.1, at_most: 3", OLD, ["value-out-of-range step compare: --at-most"]),
        ("margin: 0.1, starts: '[[100, 400, 200, 300, 0.8]]'", OLD, ["value-out-of-range step compare: --starts"]),
        ("margin: 0.1, equal_within: 0.5", OLD, ["options-conflict step compare: --margin"]),
        ("margin: 0.1, checkpoints: all", OLD, ["checkpoints-not-scored step compare: --checkpoints"]),
        ("detect: 0.2", OLD, [UNGATED]),
        ("equal_within: 0.5", OLD, [UNGATED]),
        ("margin: 0.1", "reference: []", ["option-without-effect step compare: --margin"]),
        ("allow_floor: true", OLD, ["option-without-effect step compare: --allow-floor", UNGATED]),
        ("checkpoints: all, confirm: 4", "reference: []", ["value-invalid step compare: pipeline.yaml:8"]),
    ],
)
def test_a_gate_that_says_nothing_is_refused(render, parameters, reference, problems):
    render(parameters, reference).check_problems(2, *problems)
