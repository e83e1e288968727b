"""What a plan says beside its native spec, as a file of it: a platform's order, a frozen dataclass with a `schema`."""

import dataclasses
import json
from typing import Any, TypeVar

from robotrain.errors import Problem, Stage, Suggestion
from robotrain_runtime.contract.document import convert_json

Spec = TypeVar("Spec")


class SubmissionSpecError(ValueError):
    """A file that says no order."""


def make_damaged_plan_problem(stage: Stage, engine: str, why: str) -> Problem:
    """Of a plan that is not what `render` makes. engine: whom it would be handed to. why: a sentence."""
    return Problem(
        code="plan-damaged",
        stage=stage,
        title=f"the plan does not say how it is handed to {engine}",
        why=why,
        suggestions=(Suggestion("robotrain render … --to FOLDER", "writes a whole one"),),
    )


def dump_submission_spec(spec: Any) -> bytes:
    """The one form: equal orders are equal bytes."""
    return (json.dumps(dataclasses.asdict(spec), indent=1, sort_keys=True) + "\n").encode()


def parse_submission_spec(kind: type[Spec], content: bytes, file: str, schema: int) -> Spec:
    """Read an order of `kind`. file: what it is called. Raises OrderError, which repeats no value."""
    try:
        data = json.loads(content)
    except ValueError as error:
        raise SubmissionSpecError(f"{file} is not JSON: {error}") from None
    wrong: list[str] = []
    read: Any = convert_json(kind, data, "", wrong)
    if not wrong and read.schema != schema:
        wrong.append(f"schema: this robotrain reads {schema}")
    if wrong:
        raise SubmissionSpecError(f"{file} is no order: {'; '.join(wrong)}")
    order: Spec = read
    return order
