"""Submission specs: files of a plan that say how it is submitted. A platform's spec is a frozen dataclass with a
`schema`. Beside them the container plugin that a job with a model of a workspace needs.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from robotrain.errors import Problem, Stage, Suggestion
from robotrain_runtime.contract.document import JobSource, convert_json

Spec = TypeVar("Spec")

MODEL_KIND = "model_asset"
MODEL_CONTAINER_PLUGINS = {f"source.{MODEL_KIND}": "robotrain_azure.models.container"}


def find_model_plugins(sources: Iterable[JobSource]) -> Mapping[str, str]:
    """Return the container plugin as a job document names it; empty without a model of a workspace."""
    return MODEL_CONTAINER_PLUGINS if any(source.kind == MODEL_KIND for source in sources) else {}


class SubmissionSpecError(ValueError):
    """A file that is not a valid submission spec."""


def make_damaged_plan_problem(stage: Stage, engine: str, why: str) -> Problem:
    """Return the problem of a plan that `render` did not make. `engine`: what it would be submitted to."""
    return Problem(
        code="plan-damaged",
        stage=stage,
        title=f"the plan cannot be submitted to {engine}: it is damaged",
        why=why,
        suggestions=(Suggestion("robotrain render … --to FOLDER", "writes a complete plan"),),
    )


def dump_submission_spec(spec: Any) -> bytes:
    """Return the canonical bytes of a spec."""
    return (json.dumps(dataclasses.asdict(spec), indent=1, sort_keys=True) + "\n").encode()


def parse_submission_spec(kind: type[Spec], content: bytes, file: str, schema: int) -> Spec:
    """Parse a spec of class `kind` from a file. Raises SubmissionSpecError, which repeats no value."""
    try:
        data = json.loads(content)
    except ValueError as error:
        raise SubmissionSpecError(f"{file} is not JSON: {error}") from None
    errors: list[str] = []
    value: Any = convert_json(kind, data, "", errors)
    if not errors and value.schema != schema:
        errors.append(f"schema: this robotrain reads {schema}")
    if errors:
        raise SubmissionSpecError(f"{file} is not a valid submission spec: {'; '.join(errors)}")
    spec: Spec = value
    return spec
