"""The submission spec of a pipeline's plan, `azureml-pipeline.json`, and what the reference of a run has of it."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

from robotrain.cluster.spec import SubmissionSpecFile
from robotrain.model.reference import Reference

from robotrain_azureml.spec.submission_spec import SUBMISSION_SCHEMA, AzureMLSubmissionSpec


@dataclass(frozen=True, kw_only=True)
class StepSpec:
    """A step of a pipeline."""

    name: str
    key: str
    """Its name in the pipeline job."""
    needs: tuple[str, ...] = ()
    results: bool = False
    """Whether its output is one result, not a folder of checkpoints."""
    resumable: bool = False
    submission: AzureMLSubmissionSpec


@dataclass(frozen=True, kw_only=True)
class AzureMLPipelineSpec:
    """How a pipeline is submitted. The steps are in an order in which they can run."""

    run: str
    steps: tuple[StepSpec, ...]
    schema: int = SUBMISSION_SCHEMA


PIPELINE_SPEC = SubmissionSpecFile(AzureMLPipelineSpec, "azureml-pipeline.json", SUBMISSION_SCHEMA, "Azure ML")


def make_step_folder(name: str) -> str:
    """Return the folder of a step's files in the plan."""
    return f"steps/{name}"


STEP_TAG = "robotrain.step"
STEPS_KEY = "steps"
"""The key of a reference with what is known of all steps."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepFacts:
    """What a submit knows of a step."""

    key: str
    """Its name in the pipeline job."""
    run: str
    needs: tuple[str, ...] = ()
    output: str = ""
    """The name of its declared output."""
    results: bool = False
    datastore: str = ""
    publishes: str = ""


def dump_steps(steps: Mapping[str, StepFacts]) -> str:
    """Return the steps as text for a reference."""
    return json.dumps({name: dataclasses.asdict(facts) for name, facts in steps.items()})


def parse_steps(reference: Reference) -> dict[str, StepFacts]:
    """Return the steps of a pipeline by name, in the plan's order; empty for other runs."""
    steps_json = json.loads(reference.get(STEPS_KEY) or "{}")
    return {name: StepFacts(**{**facts, "needs": tuple(facts["needs"])}) for name, facts in steps_json.items()}
