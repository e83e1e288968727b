"""What a plan says beside its native spec, as a file of it: a platform's order, a frozen dataclass with a `schema`."""

import dataclasses
import json
from typing import Any, TypeVar

from robotrain.problem import Instead, Problem, Stage
from robotrain_runtime.document import read_as

Order = TypeVar("Order")


class OrderError(ValueError):
    """A file that says no order."""


def damaged(stage: Stage, engine: str, why: str) -> Problem:
    """Of a plan that is not what `render` makes. engine: whom it would be handed to. why: a sentence."""
    return Problem(
        code="plan-damaged",
        stage=stage,
        title=f"the plan does not say how it is handed to {engine}",
        why=why,
        instead=(Instead("robotrain render … --to FOLDER", "writes a whole one"),),
    )


def dump(order: Any) -> bytes:
    """The one form: equal orders are equal bytes."""
    return (json.dumps(dataclasses.asdict(order), indent=1, sort_keys=True) + "\n").encode()


def load(kind: type[Order], content: bytes, file: str, schema: int) -> Order:
    """Read an order of `kind`. file: what it is called. Raises OrderError, which repeats no value."""
    try:
        data = json.loads(content)
    except ValueError as error:
        raise OrderError(f"{file} is not JSON: {error}") from None
    wrong: list[str] = []
    read: Any = read_as(kind, data, "", wrong)
    if not wrong and read.schema != schema:
        wrong.append(f"schema: this robotrain reads {schema}")
    if wrong:
        raise OrderError(f"{file} is no order: {'; '.join(wrong)}")
    order: Order = read
    return order
