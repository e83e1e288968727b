"""The search space of a sweep: `--over NAME=VALUES`, their combinations, and the sweep's plan."""

import itertools
import math
import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from robotrain.config.request import Request
from robotrain.errors import Problem, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model.workload import Workload
from robotrain.redaction import redact

make_problem = Messages(__file__)

OVER_FLAG = "--over"
FORMS = ("NAME=VALUE,VALUE", "NAME=1..5", "NAME=log:1e-5..1e-2", "NAME=uniform:0.1..0.5")
MAX_TRIALS = 1000
MAX_DIGITS = 18
"""Digits of an end of a range of whole numbers, with its sign."""
NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
DIGITS = 6
"""Significant digits of a value that is drawn from a range."""
Scale = Literal["log", "uniform"]
Point = Mapping[str, str]
"""A text for each name."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A name with its values: a list, or a range."""

    name: str
    values: tuple[str, ...] = ()
    """Empty for a range."""
    scale: Scale = "uniform"
    low: str = ""
    high: str = ""

    @property
    def is_range(self) -> bool:
        """Whether values are drawn between two ends."""
        return not self.values


def is_whole(text: str) -> bool:
    """Return whether a number is written as a whole one."""
    return bool(re.fullmatch(r"[+-]?\d+", text))


def parse_axes(assignments: Sequence[str]) -> list[Axis]:
    """Return the axes of all `NAME=VALUES`. Raise Rejected with all problems."""
    problems: list[Problem] = []
    axes = [axis for assignment in assignments if (axis := _parse_axis(assignment, problems)) is not None]
    axis_names = [axis.name for axis in axes]
    for name in dict.fromkeys(axis_names):
        if axis_names.count(name) > 1:
            title = f"{redact(name)} has more than one {OVER_FLAG}"
            problems.append(make_over_problem(title, name, ways=(f"{OVER_FLAG} {redact(name)}=VALUE,VALUE",)))
    raise_if_any(problems)
    return axes


def make_over_problem(title: str, text: str = "", reason: str = "", ways: Sequence[str] = ()) -> Problem:
    """Return the problem of values that cannot be read."""
    option_lines = ways or [f"{OVER_FLAG} {form}" for form in FORMS]
    suggestions = map(Suggestion, option_lines)
    return make_problem("value-invalid", *suggestions, given=text, title=title, why=reason)


def _parse_axis(text: str, problems: list[Problem]) -> Axis | None:
    name, equals, values_text = text.partition("=")
    name = _normalize_name(name)
    if not name or not equals or not values_text.strip():
        problems.append(make_over_problem(f"{OVER_FLAG} needs a name, `=` and values", text))
        return None
    scale, colon, range_text = values_text.strip().partition(":")
    if colon and scale in ("log", "uniform"):
        return _parse_range(name, scale, range_text, problems)  # type: ignore[arg-type] # one of the two
    axis_values: list[str] = []
    for part in (part.strip() for part in values_text.split(",")):
        lower_end, dots, upper_end = part.partition("..")
        if dots and is_whole(lower_end) and is_whole(upper_end):
            is_short = max(len(lower_end), len(upper_end)) <= MAX_DIGITS
            if not is_short or not 0 <= int(upper_end) - int(lower_end) < MAX_TRIALS - len(axis_values):
                reason = f"A range has its smaller end first, and at most {MAX_TRIALS} values."
                problems.append(make_over_problem(f"{redact(name)}: the range is empty or too long", part, reason))
                return None
            axis_values += map(str, range(int(lower_end), int(upper_end) + 1))
        elif dots and re.fullmatch(NUMBER, lower_end) and re.fullmatch(NUMBER, upper_end):
            problems.append(make_over_problem(f"{redact(name)}: this range is not of whole numbers", part))
            return None
        else:
            axis_values.append(part)
    if not all(axis_values) or len({*axis_values}) < len(axis_values):
        problems.append(make_over_problem(f"{redact(name)} has an empty value, or the same value twice", text))
        return None
    return Axis(name, tuple(axis_values))


def _parse_range(name: str, scale: Scale, range_text: str, problems: list[Problem]) -> Axis | None:
    lower_end, _, upper_end = (part.strip() for part in range_text.partition(".."))
    are_numbers = re.fullmatch(NUMBER, lower_end) and re.fullmatch(NUMBER, upper_end)
    are_ends = (
        are_numbers and float(lower_end) < float(upper_end) and math.isfinite(float(upper_end) - float(lower_end))
    )
    if not are_ends or (scale == "log" and float(lower_end) <= 0):
        title = f"{redact(name)}: {scale}: needs two numbers, the smaller one first"
        reason = (
            "A logarithmic range begins above 0." if scale == "log" and are_numbers and float(lower_end) <= 0 else ""
        )
        example = {"log": "1e-5..1e-2", "uniform": "0.1..0.5"}[scale]
        ways = (f"{OVER_FLAG} {redact(name)}={scale}:{example}",)
        problems.append(make_over_problem(title, range_text, reason, ways))
        return None
    return Axis(name, scale=scale, low=lower_end, high=upper_end)


def _normalize_name(text: str) -> str:
    """Return the name of a value: an option's spelling is taken too."""
    name = text.strip().lstrip("-")
    return name if "." in name else name.replace("-", "_")


def combine_axes(axes: Sequence[Axis]) -> list[Point]:
    """Return every combination of lists, the last name changing fastest. Raise Rejected if there are too many."""
    count = math.prod(len(axis.values) for axis in axes)
    raise_if_any(check_count(count))
    axis_names = [axis.name for axis in axes]
    combinations = itertools.product(*(axis.values for axis in axes))
    return [dict(zip(axis_names, combination, strict=True)) for combination in combinations]


def check_count(count: int) -> Iterator[Problem]:
    """Yield a problem of too many trials."""
    if count > MAX_TRIALS:
        yield make_problem("sweep-too-large", count=count, most=MAX_TRIALS)


def draw_points(axes: Sequence[Axis], count: int, seed: int, integers: Collection[str]) -> list[Point]:
    """Return random combinations; equal arguments give equal ones.

    :param integers: the names whose values are whole numbers.
    """
    source = random.Random(seed)
    return [{axis.name: _draw_value(axis, source, integers) for axis in axes} for _ in range(count)]


def _draw_value(axis: Axis, source: random.Random, integers: Collection[str]) -> str:
    if not axis.is_range:
        return source.choice(axis.values)
    lower_bound = float(axis.low)
    upper_bound = float(axis.high)
    drawn_number = (
        math.exp(source.uniform(math.log(lower_bound), math.log(upper_bound)))
        if axis.scale == "log"
        else source.uniform(lower_bound, upper_bound)
    )
    if axis.name in integers:
        return str(min(max(round(drawn_number), math.ceil(lower_bound)), math.floor(upper_bound)))
    text = f"{drawn_number:.{DIGITS}g}"
    return text if lower_bound <= float(text) <= upper_bound else repr(drawn_number)


def format_point(point: Mapping[str, object]) -> str:
    """Return a combination in one line."""
    return " ".join(f"{name}={value}" for name, value in point.items())


SamplerName = Literal["grid", "random"]
SAMPLERS: tuple[SamplerName, ...] = ("grid", "random")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRequest:
    """A sweep as it was requested."""

    job: Request
    workload: Workload
    axes: tuple[Axis, ...] = ()
    sampler: SamplerName = "grid"
    samples: int = 0
    sampler_seed: int = 0
    at_most: int | None = None
    metric: str = ""
    """Empty for those that the workload compares its runs by. `NAME:higher` says which value is better."""
    metric_flag: str = "--metric"
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What the trials of a sweep differ in."""

    over: tuple[str, ...]
    """The names of the values that vary."""
    metrics: tuple[tuple[str, str], ...]
    """Names of metrics, each with `lower` or `higher`: the first one that a trial reports compares them."""
    points: Mapping[str, Mapping[str, str]]
    """The values of each trial, as given or drawn."""
    patterns: tuple[tuple[str, str], ...] = ()
    """Regular expressions of the names of metrics, for trials that report none of `metrics`."""
    model: str = ""
    """The model that the job names for its policy."""


def dump_sweep(plan: SweepPlan) -> dict[str, Any]:
    """Return a plan as data for `pipeline.json`."""
    body = asdict(plan)
    return {name: value for name, value in body.items() if value}


def parse_sweep(data: Mapping[str, Any]) -> SweepPlan:
    """Return the plan in the data of `pipeline.json`. Raise TypeError, ValueError, KeyError."""
    metrics, patterns = (
        tuple((str(name), str(better)) for name, better in data.get(key, ())) for key in ("metrics", "patterns")
    )
    return SweepPlan(
        over=tuple(map(str, data["over"])),
        metrics=metrics,
        points=data["points"],
        patterns=patterns,
        model=data.get("model", ""),
    )
