"""Specs in a plan: the submission spec, a file that says how it is submitted, and values of an engine's own spec."""

import json
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from robotrain_runtime.contract.document import collect_fields, convert_json
from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.plan import Plan

Spec = TypeVar("Spec")


class SubmissionSpecError(ValueError):
    """A file that is not a valid submission spec. The message repeats no value."""


@lazy_dataclass(frozen=True)
class SubmissionSpecFile(Generic[Spec]):
    """The file of a platform's submission spec in a plan."""

    kind: type[Spec]
    """The spec's class: a frozen dataclass with a `schema`."""
    name: str
    schema: int
    engine: str
    """The platform's engine, as it is named in messages."""
    required: tuple[str, ...] = ()
    """Other files of a complete plan."""

    def dump(self, spec: Spec) -> bytes:
        """Return the canonical bytes of a spec: equal specs give equal bytes."""
        return (json.dumps(spec, indent=1, sort_keys=True, default=collect_fields) + "\n").encode()

    def parse(self, content: bytes) -> Spec:
        """Parse a spec. Raise SubmissionSpecError."""
        try:
            data = json.loads(content)
        except ValueError as error:
            raise SubmissionSpecError(f"{self.name} is not JSON: {error}") from None
        errors: list[str] = []
        spec: Any = convert_json(self.kind, data, "", errors)
        if not errors and spec.schema != self.schema:
            errors.append(f"schema: this robotrain reads {self.schema}")
        if errors:
            raise SubmissionSpecError(f"{self.name} is not a valid submission spec: {'; '.join(errors)}")
        parsed: Spec = spec
        return parsed

    def load(self, plan: Plan, stage: Stage) -> Spec:
        """Return the spec of a plan. Raise Rejected if the plan is damaged or incomplete."""
        required = dict.fromkeys((self.name, plan.spec, *self.required))
        if missing := [path for path in required if path not in plan.files]:
            raise Rejected([self.make_damaged_plan_problem(stage, f"It lacks {', '.join(missing)}.")])
        try:
            return self.parse(plan.files[self.name])
        except SubmissionSpecError as error:
            raise Rejected([self.make_damaged_plan_problem(stage, f"{error}.")]) from None

    def make_damaged_plan_problem(self, stage: Stage, why: str) -> Problem:
        """Return the problem of a plan that `render` did not make."""
        return Problem(
            code="plan-damaged",
            stage=stage,
            title=f"the plan cannot be submitted to {self.engine}: it is damaged",
            why=why,
            suggestions=(Suggestion("robotrain render … --to FOLDER", "writes a complete plan"),),
        )


def drop_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are not empty, for an engine's own spec."""
    return {name: value for name, value in values.items() if value}
