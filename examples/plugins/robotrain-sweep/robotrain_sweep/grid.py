"""The values that a sweep goes over: `NAME=VALUE,VALUE` of the command line as one mapping for each run."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain.plugin import Problem, Rejected, Stage, Suggestion, redact

FORM = "--over NAME=VALUE,VALUE"
MOST = 100
OWN = ("job", "platform", "workload", "profile", "trainer_args", "new", "pin", "attempt")
"""What names no value of a job, in robotrain's own call."""

Point = Mapping[str, Any]
"""A text by each name; `Any`, for robotrain's own call takes other types by other names."""


def points(said: Sequence[str]) -> list[Point]:
    """Every combination, the last name changing fastest. Raises Rejected with all that is wrong."""
    read = [_axis(text) for text in said]
    names = [name for name, _ in read]
    wrong = [problem for text, axis in zip(said, read, strict=True) for problem in _wrong(text, *axis, names)]
    count = math.prod(len(values) for _, values in read)
    if count > MOST:
        wrong.append(_problem("sweep-too-large", f"that would be {count} runs, and a sweep has at most {MOST}"))
    if not said:
        wrong.append(_problem("sweep-over-nothing", "a sweep needs something to go over"))
    if wrong:
        raise Rejected(wrong)
    return [dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*(values for _, values in read))]


def told(point: Point) -> str:
    """A combination, in one line."""
    return " ".join(f"{name}={value}" for name, value in point.items())


def _axis(text: str) -> tuple[str, list[str]]:
    name, _, values = text.partition("=")
    return name.strip().lstrip("-").replace("-", "_"), [value.strip() for value in values.split(",")]


def _wrong(text: str, name: str, values: list[str], names: list[str]) -> Iterator[Problem]:
    given = redact(text)
    if not name.isidentifier() or not all(values):
        yield _problem("sweep-over-invalid", "--over takes a name and its values, with commas between them", given)
    elif name in OWN:
        yield _problem("sweep-over-invalid", f"a sweep goes over values of a job, and {name} is none", given)
    if names.count(name) > 1:
        yield _problem("sweep-over-twice", f"{redact(name)} is swept over more than once", given)
    if len({*values}) < len(values):
        yield _problem("sweep-over-twice", "the same value stands there twice", given)


def _problem(code: str, title: str, given: str = "") -> Problem:
    return Problem(
        code=code,
        stage=Stage.USAGE,
        title=title,
        where="--over" if given else "",
        given=given,
        suggestions=(Suggestion(FORM),),
    )
