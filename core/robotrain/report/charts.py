"""Geometry of charts: lines on axes, and bars with their intervals. The template `charts.html` draws them as SVG."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from robotrain.model.series import thin_points

Points = Sequence[tuple[float, float]]

LARGE, SMALL = (720, 260), (360, 150)
"""Width and height in SVG units: the text has the same size in both."""

LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 28
"""Margins around the plot."""
MAX_POINTS, MAX_VISIBLE_POINTS = 240, 60
"""Points of a line, and up to how many of them are visible dots."""
GRID_LINES = 4
MAX_LINES = 8
"""How many lines have different colors."""
TICK_FACTORS = (1, 2, 2.5, 5, 10)
MAX_VALUE, MIN_VALUE = 1e150, 1e-150
"""The limits of an axis: a smaller value is drawn as zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a chart. `number` selects its color."""

    name: str
    number: int
    points: Points
    places: Sequence[tuple[float, float]]
    """The coordinates of the points."""

    @property
    def radius(self) -> float:
        """The radius of a dot."""
        return 3.5 if len(self.points) <= 12 else 2

    @property
    def dense(self) -> bool:
        """Whether the dots are invisible until one points at them."""
        return len(self.points) > MAX_VISIBLE_POINTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The lines of one quantity on common axes."""

    width: int
    height: int
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...] = ()
    """The vertical coordinate and label of each grid line."""
    ends: tuple[tuple[float, str, str], ...] = ()
    """The horizontal coordinate, text anchor and label of both ends of the horizontal axis."""
    omitted: int = 0
    """How many values cannot be drawn."""

    @property
    def sides(self) -> tuple[int, int]:
        """The horizontal coordinates of the plot's sides."""
        return LEFT, self.width - RIGHT


def make_chart(series: Mapping[str, Points], unit: str = "step", size: tuple[int, int] = LARGE) -> Chart:
    """Return a chart of the series; a series without drawable values keeps its number, so colors do not change."""
    drawable = {
        name: [
            (at, value if abs(value) > MIN_VALUE else 0.0)
            for at, value in points
            if math.isfinite(at) and math.isfinite(value) and abs(value) < MAX_VALUE
        ]
        for name, points in series.items()
    }
    omitted = sum(map(len, series.values())) - sum(map(len, drawable.values()))
    thinned = {name: thin_points(points, MAX_POINTS) for name, points in drawable.items()}
    (width, height), points = size, list(itertools.chain(*thinned.values()))
    if not points:
        return Chart(width=width, height=height, lines=(), omitted=omitted)
    first, last = min(at for at, _ in points), max(at for at, _ in points)
    bottom, top = _choose_range([value for _, value in points])

    def x(at: float) -> float:
        return LEFT + (at - first) / ((last - first) or 1.0) * (width - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (top - value) / (top - bottom) * (height - TOP - BOTTOM)

    ends = ((first, "start"), (last, "end"))[: 1 if first == last else 2]
    return Chart(
        width=width,
        height=height,
        lines=tuple(
            Line(name=name, number=number, points=points, places=[(x(at), y(value)) for at, value in points])
            for number, (name, points) in enumerate(thinned.items(), 1)
            if points
        ),
        ticks=tuple((y(value), format_tick(value)) for value in compute_ticks(bottom, top)),
        ends=tuple((x(at), anchor, f"{unit} {at:.0f}") for at, anchor in ends),
        omitted=omitted,
    )


def _choose_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of the vertical axis; it begins at zero if the lowest value is near."""
    low, high = min(values), max(values)
    if 0 < low < high / 2:
        low = 0.0
    margin = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    return (low if low == 0 else low - margin), high + margin


def compute_ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high`, about four of them."""
    rough = (high - low) / GRID_LINES or 1.0
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in TICK_FACTORS if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def format_tick(value: float) -> str:
    """Return a tick as a short text: `16k`, `2.5M`, `5e-5`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    if value and abs(value) < 1e-3:
        return f"{value:.2g}".replace("e-0", "e-")
    return f"{value:.4g}"


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
        """Return value and interval as shares of the scale from 0 to `top`; None for what is not finite."""
        scaled = (_scale(part, top) for part in (self.value, self.low, self.high))
        return next(scaled), next(scaled), next(scaled)


def _scale(value: float | None, top: float) -> float | None:
    return min(1.0, max(0.0, value / top)) if value is not None and math.isfinite(value) else None


def find_scale_end(bars: Sequence[Bar]) -> float:
    """Return the end of a common scale: the largest value or bound."""
    ends = [end for bar in bars for end in (bar.value, bar.high) if end is not None and math.isfinite(end)]
    return max(ends, default=0.0) or 1.0
