"""The grid of a sweep: `NAME=VALUE,VALUE` options as one mapping for each run."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain.plugin import Problem, Rejected, Stage, Suggestion, redact

FORM = "--over NAME=VALUE,VALUE"
MAX_RUNS = 100
RESERVED_NAMES = ("job", "platform", "workload", "profile", "trainer_args", "new", "pin", "attempt")
"""Arguments of `robotrain.submit` that are not values of a job."""

Point = Mapping[str, Any]
"""A text for each name; `Any`, because other arguments of `robotrain.submit` have other types."""


def parse_grid(options: Sequence[str]) -> list[Point]:
    """Return every combination, the last name changing fastest. Raise Rejected with all problems."""
    axes = [_parse_axis(text) for text in options]
    names = [name for name, _ in axes]
    problems = [one for text, axis in zip(options, axes, strict=True) for one in _check_axis(text, *axis, names)]
    count = math.prod(len(values) for _, values in axes)
    if count > MAX_RUNS:
        problems.append(_problem("sweep-too-large", f"the grid has {count} runs; a sweep has at most {MAX_RUNS}"))
    if not options:
        problems.append(_problem("sweep-over-nothing", "a sweep needs at least one --over"))
    if problems:
        raise Rejected(problems)
    return [dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*(values for _, values in axes))]


def format_point(point: Point) -> str:
    """Return a combination in one line."""
    return " ".join(f"{name}={value}" for name, value in point.items())


def _parse_axis(text: str) -> tuple[str, list[str]]:
    name, _, values = text.partition("=")
    return name.strip().lstrip("-").replace("-", "_"), [value.strip() for value in values.split(",")]


def _check_axis(text: str, name: str, values: list[str], names: list[str]) -> Iterator[Problem]:
    given = redact(text)
    if not name.isidentifier() or not all(values):
        yield _problem("sweep-over-invalid", "--over needs a name and values separated by commas", given)
    elif name in RESERVED_NAMES:
        yield _problem("sweep-over-invalid", f"{name} is not a value of a job", given)
    if names.count(name) > 1:
        yield _problem("sweep-over-twice", f"{redact(name)} has more than one --over", given)
    if len({*values}) < len(values):
        yield _problem("sweep-over-twice", "the same value is given twice", given)


def _problem(code: str, title: str, given: str = "") -> Problem:
    return Problem(
        code=code,
        stage=Stage.USAGE,
        title=title,
        where="--over" if given else "",
        given=given,
        suggestions=(Suggestion(FORM),),
    )
