"""Geometry of charts: lines on axes, sparklines, and bars with their intervals; the template `charts.html` draws them.

Horizontal coordinates are percentages: a chart is as wide as the page, and its text as large as that of the page.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from robotrain.model.series import thin_points

Points = Sequence[tuple[float, float]]

LARGE, SMALL = 240, 110
"""Heights in pixels."""

MAX_POINTS, MAX_DOTS, MAX_SPARKS = 240, 60, 40
"""Points of a line, those of them that show their value, and points of a sparkline."""
MAX_VISIBLE_DOTS = 30
"""Up to how many dots of a line are visible; more show their value only when one points at them."""
GRID_LINES, GRID_HEIGHT = 5, 25
"""About how many ticks an axis has, and how many pixels are between grid lines at least."""
MAX_LINES = 8
"""How many lines have different colors."""
TICK_FACTORS = (1, 2, 2.5, 5, 10)
LOG_RANGE = 100
"""The least ratio of the values of a logarithmic axis."""
MIN_SHARE = 0.125
"""The part of an axis that a line covers at least, to be read on the same one as another."""
MAX_VALUE, MIN_VALUE = 1e150, 1e-150
"""The limits of an axis: a smaller value is drawn as zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a chart. `number` selects its color."""

    name: str
    number: int
    places: Sequence[tuple[float, float]]
    """The coordinates of its points, in percent and pixels."""
    dots: Sequence[tuple[float, float, str]]
    """The coordinates and values of the points that show them."""

    @property
    def dense(self) -> bool:
        """Whether the dots are invisible until one points at them."""
        return len(self.places) > MAX_VISIBLE_DOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The lines of one quantity on common axes."""

    height: int
    lines: tuple[Line, ...] = ()
    ticks: tuple[tuple[float, str], ...] = ()
    """The vertical coordinate and label of each grid line."""
    steps: tuple[tuple[float, str, str], ...] = ()
    """The horizontal coordinate, text anchor and label of each tick of the horizontal axis."""
    unit: str = ""
    """What they count."""
    checkpoints: tuple[tuple[float, str], ...] = ()
    """The horizontal coordinate of each checkpoint, and what it is."""
    spans: tuple[tuple[float, float, str], ...] = ()
    """The left edge and the width of each marked part in percent, and what it is."""
    is_log: bool = False
    omitted: int = 0
    """How many values cannot be drawn."""


Span = tuple[float, float, str]
"""A part of the horizontal axis: where it begins and ends, and what it is."""


@dataclass(frozen=True, slots=True)
class _Axes:
    """The ranges of both axes, and the height in pixels."""

    first: float
    last: float
    bottom: float
    top: float
    height: int
    is_log: bool

    def x(self, position: float) -> float:
        return 100 * (position - self.first) / ((self.last - self.first) or 1.0)

    def y(self, value: float) -> float:
        if self.is_log:
            return self.height * math.log(self.top / value) / math.log(self.top / self.bottom)
        return self.height * (self.top - value) / (self.top - self.bottom)

    def make_span(self, start: float, end: float, span_text: str) -> tuple[float, float, str]:
        left_edge, right_edge = (min(100.0, max(0.0, self.x(position))) for position in (start, end))
        return left_edge, right_edge - left_edge, span_text

    def make_line(self, name: str, number: int, points: Points, format_at: Callable[[float], str]) -> Line:
        thinned_points = thin_points(points, MAX_DOTS)
        dots = [
            (self.x(position), self.y(value), f"{name} {value:.6g} at {format_at(position)}")
            for position, value in thinned_points
        ]
        return Line(
            name=name,
            number=number,
            places=[(self.x(position), self.y(value)) for position, value in points],
            dots=dots,
        )


def make_chart(
    series: Mapping[str, Points],
    unit: str = "step",
    height: int = LARGE,
    *,
    is_loss: bool = False,
    checkpoints: Sequence[int] = (),
    other_series: Sequence[Points] = (),
    spans: Sequence[Span] = (),
    format_at: Callable[[float], str] = "{:.0f}".format,
) -> Chart:
    """Return a chart of the series; a series without drawable values keeps its number, so colors do not change.

    :param is_loss: its axis is logarithmic if the values span two decades.
    :param checkpoints: the steps that are marked.
    :param other_series: what other charts show, for a horizontal axis that is the same.
    :param spans: the parts that are marked.
    :param format_at: returns how the text of a point names its place.
    """
    drawable_series = {name: _select_drawable(points) for name, points in series.items()}
    omitted_count = sum(map(len, series.values())) - sum(map(len, drawable_series.values()))
    thinned_series = {name: thin_points(points, MAX_POINTS) for name, points in drawable_series.items()}
    points = list(itertools.chain(*thinned_series.values()))
    if not points:
        return Chart(height=height, omitted=omitted_count)
    steps = [
        position for shown in (*series.values(), *other_series) for position, _ in shown if math.isfinite(position)
    ]
    first_step = min(steps)
    last_step = max(steps)
    values = [value for _, value in points]
    is_log = is_loss and spans_decades(values)
    bottom, top = (min(values) / 1.2, max(values) * 1.2) if is_log else _choose_range(values)
    axes = _Axes(0.0 if 0 < first_step <= last_step / 5 else first_step, last_step, bottom, top, height, is_log)
    ticks = (
        compute_log_ticks(bottom, top) if is_log else compute_ticks(bottom, top, min(GRID_LINES, height // GRID_HEIGHT))
    )
    return Chart(
        height=height,
        lines=tuple(
            axes.make_line(name, number, points, format_at)
            for number, (name, points) in enumerate(thinned_series.items(), 1)
            if points
        ),
        ticks=tuple(zip(map(axes.y, ticks), format_ticks(ticks), strict=True)),
        steps=tuple(_list_step_ticks(axes)),
        unit=unit,
        checkpoints=tuple(
            (axes.x(step), f"checkpoint of {unit} {step}") for step in checkpoints if axes.first <= step <= last_step
        ),
        spans=tuple(axes.make_span(*span) for span in spans if span[0] <= axes.last and span[1] >= axes.first),
        is_log=is_log,
        omitted=omitted_count,
    )


def _select_drawable(points: Points) -> list[tuple[float, float]]:
    return [
        (position, value if abs(value) > MIN_VALUE else 0.0)
        for position, value in points
        if math.isfinite(position) and math.isfinite(value) and abs(value) < MAX_VALUE
    ]


def spans_decades(values: Sequence[float]) -> bool:
    """Return whether a logarithmic axis shows more of the values."""
    return min(values) > 0 and max(values) >= LOG_RANGE * min(values)


def split_panels(series: Mapping[str, Points]) -> list[dict[str, Points]]:
    """Return the series on common axes, or each on axes of its own if one would be flat beside the others.

    Each chart names all of them, so that colors do not change.
    """
    drawn_values = ([value for _, value in _select_drawable(points)] for points in series.values())
    spans = [(min(values), max(values)) for values in drawn_values if values]
    moving_ranges = [
        highest_value - lowest_value for lowest_value, highest_value in spans if highest_value > lowest_value
    ]
    whole_range = max((highest_value for _, highest_value in spans), default=0.0) - min(
        (lowest_value for lowest_value, _ in spans), default=0.0
    )
    if len(spans) < 2 or (moving_ranges and min(moving_ranges) >= MIN_SHARE * whole_range):
        return [dict(series)]
    return [
        {series_name: series[series_name] if series_name == name else () for series_name in series}
        for name in series
        if series[name]
    ]


def _list_step_ticks(axes: _Axes) -> Iterator[tuple[float, str, str]]:
    """Yield the ticks of the horizontal axis: whole numbers, but of a time of less than a second parts of it."""
    ticks = compute_ticks(axes.first, axes.last) if axes.last > axes.first else [axes.first]
    whole_ticks = [tick for tick in ticks if tick == round(tick)]
    for tick in ticks if len(whole_ticks) < 2 else whole_ticks:
        position = axes.x(tick)
        yield position, "start" if position < 3 else "end" if position > 97 else "middle", format_tick(tick)


def make_sparkline(
    points: Points, ends: tuple[float, float] | None = None, width: int = 100, height: int = 24
) -> list[tuple[float, float]]:
    """Return the coordinates of a line without axes; none for fewer than two points.

    :param ends: values that are on its scale in any case, so that lines can be compared.
    """
    drawn_points = thin_points(_select_drawable(points), MAX_SPARKS)
    if len(drawn_points) < 2:
        return []
    (first_position, _), (last_position, _) = drawn_points[0], drawn_points[-1]
    values = [*(value for _, value in drawn_points), *(ends or ())]
    lowest_value = min(values)
    highest_value = max(values)
    return [
        (
            width * (position - first_position) / ((last_position - first_position) or 1.0),
            height * (highest_value - value) / ((highest_value - lowest_value) or 1.0),
        )
        for position, value in drawn_points
    ]


def _choose_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of the vertical axis; it begins at zero if the lowest value is near."""
    lowest_value = min(values)
    highest_value = max(values)
    if 0 < lowest_value < highest_value / 2:
        lowest_value = 0.0
    margin = (highest_value - lowest_value) * 0.05 or abs(highest_value) * 0.1 or 1.0
    return (lowest_value if lowest_value == 0 else lowest_value - margin), highest_value + margin


def compute_ticks(lowest_value: float, highest_value: float, count: int = GRID_LINES) -> list[float]:
    """Return round numbers from `lowest_value` to `highest_value`, about `count` of them."""
    rough = (highest_value - lowest_value) / count or 1.0
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in TICK_FACTORS if factor * power >= rough * 0.999)
    first_index = math.ceil(lowest_value / step - 1e-9)
    return [index * step for index in range(first_index, math.floor(highest_value / step + 1e-9) + 1)]


def compute_log_ticks(lowest_value: float, highest_value: float) -> list[float]:
    """Return powers of ten from `lowest_value` to `highest_value`, not more than about seven of them."""
    first_power = math.ceil(math.log10(lowest_value) - 1e-9)
    last_power = math.floor(math.log10(highest_value) + 1e-9)
    return [10.0**power for power in range(first_power, last_power + 1, 1 + (last_power - first_power) // 7)]


def format_ticks(ticks: Sequence[float]) -> list[str]:
    """Return the ticks of an axis as short texts that differ."""
    labels = ([format_tick(tick, digits) for tick in ticks] for digits in range(4, 10))
    return next(
        (tick_texts for tick_texts in labels if len({*tick_texts}) == len(tick_texts)), [f"{tick:g}" for tick in ticks]
    )


def format_tick(tick: float, digits: int = 4) -> str:
    """Return a tick as a short text: `16k`, `2.5M`, `5e-5`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(tick) >= size:
            return f"{tick / (1e3 if letter == 'k' else size):.{digits - 1}g}{letter}"
    if tick and abs(tick) < 1e-3:
        return f"{tick:.{digits - 2}g}".replace("e-0", "e-")
    return f"{tick:.{digits}g}"


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its name."""

    name: str
    value: float
    text: str
    """The value in words."""
    low: float | None = None
    high: float | None = None
    """The bounds of its confidence interval."""
    series: int = 1
    """The number of its color."""

    def place(self, top: float) -> tuple[float | None, float | None, float | None]:
        """Return value and interval in percent of the scale from 0 to `top`; None for what is not finite."""
        scaled = (_scale(part, top) for part in (self.value, self.low, self.high))
        return next(scaled), next(scaled), next(scaled)


def _scale(value: float | None, top: float) -> float | None:
    return 100 * min(1.0, max(0.0, value / top)) if value is not None and math.isfinite(value) else None


def find_scale_end(bars: Sequence[Bar]) -> float:
    """Return the end of a common scale: the largest value or bound."""
    ends = [end for bar in bars for end in (bar.value, bar.high) if end is not None and math.isfinite(end)]
    return max(ends, default=0.0) or 1.0
