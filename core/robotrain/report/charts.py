"""Charts as SVG without a script: line charts, and bars with their intervals."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

Points = Sequence[tuple[float, float]]

LARGE, SMALL = (720, 260), (360, 150)
"""Width and height, in the units of the letters: a small chart has letters of the same size."""

LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 28
MAX_POINTS, MAX_VISIBLE_POINTS = 240, 60
"""Of a line, and of those with a dot of their own."""
GRID_LINES = 4
MAX_LINES = 8
"""That can be told apart by their colours."""
TICK_FACTORS = (1, 2, 2.5, 5, 10)
MAX_VALUE, MIN_VALUE = 1e150, 1e-150
"""What an axis can hold: a value nearer to nothing is drawn as nothing."""


def draw_chart(series: Mapping[str, Points], unit: str = "step", size: tuple[int, int] = LARGE) -> str:
    """The series of one quantity on one pair of axes; values that cannot be drawn are left out, and that is said.

    Each has the colour of its place among them, also where one before it has nothing to draw.
    """
    kept = {name: [*_filter_drawable(points)] for name, points in series.items()}
    left_out = sum(map(len, series.values())) - sum(map(len, kept.values()))
    drawn = {name: thin_points(points) for name, points in kept.items() if points}
    if not drawn:
        return '<p class="quiet">no finite value</p>'
    plot = _Plot(list(drawn.values()), size)
    parts = [*plot.grid(unit)]
    for at, name in enumerate(series, 1):
        parts += plot.line(drawn.get(name, []), name, f"series-{at}")
    label = escape(", ".join(drawn))
    return (
        f'<svg viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{label}" preserveAspectRatio="xMidYMid meet">'
        + "".join(parts)
        + "</svg>"
        + _omitted_remark(left_out)
    )


def _omitted_remark(count: int) -> str:
    """What a curve that looks well would hide: a loss that was no number."""
    said = (
        "1 value that is no number, or too large" if count == 1 else f"{count} values that are no numbers, or too large"
    )
    return f'<p class="quiet">not drawn: {said}</p>' if count else ""


def _filter_drawable(points: Points) -> Iterator[tuple[float, float]]:
    for at, value in points:
        if math.isfinite(at) and math.isfinite(value) and abs(value) < MAX_VALUE:
            yield at, value if abs(value) > MIN_VALUE else 0.0


def thin_points(points: Points, most: int = MAX_POINTS) -> list[tuple[float, float]]:
    """At most `most` of the points: the first, the last, and the lowest and highest of each stretch between them."""
    if len(points) <= most:
        return list(points)
    inner, count = points[1:-1], (most - 2) // 2
    edges = [round(index * len(inner) / count) for index in range(count + 1)]
    kept = [points[0]]
    for start, end in itertools.pairwise(edges):
        part = sorted(inner[start:end], key=lambda point: point[1])
        kept += sorted({part[0], part[-1]})
    return [*kept, points[-1]]


def compute_ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, about four of them."""
    rough = (high - low) / GRID_LINES or 1.0
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in TICK_FACTORS if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def format_tick(value: float) -> str:
    """A tick in few letters: `16k`, `2.5M`, `5e-5`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            unit = 1e3 if letter == "k" else size
            return f"{value / unit:.3g}{letter}"
    if value and abs(value) < 1e-3:
        return f"{value:.2g}".replace("e-0", "e-")
    return f"{value:.4g}"


class _Plot:
    """Where a value stands on the paper."""

    def __init__(self, lines: Sequence[Points], size: tuple[int, int]) -> None:
        across = [at for points in lines for at, _ in points]
        up = [value for points in lines for _, value in points]
        self.first, self.last = min(across), max(across)
        low, high = min(up), max(up)
        if 0 < low < high / 2:
            low = 0.0
        margin = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
        self.low, self.high = (low if low == 0 else low - margin), high + margin
        self.width, self.height = size

    def x(self, at: float) -> float:
        return LEFT + (at - self.first) / ((self.last - self.first) or 1.0) * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (self.high - value) / (self.high - self.low) * (self.height - TOP - BOTTOM)

    def grid(self, unit: str) -> Iterator[str]:
        """Recessive lines with their values, and the ends of the axis below."""
        for value in compute_ticks(self.low, self.high):
            y = self.y(value)
            yield f'<line class="grid" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{format_tick(value)}</text>'
        floor = self.height - 8
        ends = ((self.first, "start"), (self.last, "end"))
        for at, anchor in ends[: 1 if self.first == self.last else 2]:
            text = f"{unit} {at:.0f}"
            yield f'<text class="tick" x="{self.x(at):.1f}" y="{floor}" text-anchor="{anchor}">{escape(text)}</text>'

    def line(self, points: Points, name: str, style: str) -> Iterator[str]:
        """The line, and a place to point at for every value."""
        path = " ".join(f"{self.x(at):.1f},{self.y(value):.1f}" for at, value in points)
        if len(points) > 1:
            yield f'<polyline class="{style}" points="{path}"/>'
        radius = 3.5 if len(points) <= 12 else 2
        dense = " dense" if len(points) > MAX_VISIBLE_POINTS else ""
        for at, value in points:
            yield (
                f'<circle class="{style}{dense}" cx="{self.x(at):.1f}" cy="{self.y(value):.1f}" r="{radius}">'
                f"<title>{escape(name)} {value:.6g} at {at:.0f}</title></circle>"
            )


WIDTH, ROW_HEIGHT, BAR_HEIGHT = 720, 44, 14
MAX_NAME = 80
WHISKER_HEIGHT = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its name. low, high: the interval it lies in. text: the value in words. series: its colour."""

    name: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    series: int = 1


def draw_bars(items: Sequence[Bar], top: float | None = None) -> str:
    """The bars on one scale from nothing to `top`, or to the greatest of them; those that cannot be drawn are text."""
    ends = [value for bar in items for value in (bar.value, bar.high) if value is not None and math.isfinite(value)]
    top = top or max(ends, default=0.0) or 1.0
    height = ROW_HEIGHT * len(items)
    label = escape(", ".join(f"{bar.name} {bar.text}" for bar in items))
    drawn = "".join(part for at, bar in enumerate(items) for part in _draw_bar(bar, at * ROW_HEIGHT, top))
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{drawn}</svg>'


def _draw_bar(bar: Bar, y: int, top: float) -> Iterator[str]:
    name = bar.name if len(bar.name) <= MAX_NAME else bar.name[: MAX_NAME - 1] + "…"
    yield f'<text class="name" x="0" y="{y + 15}">{escape(name)}</text>'
    yield f'<text class="value" x="{WIDTH}" y="{y + 15}" text-anchor="end">{escape(bar.text)}</text>'
    yield f'<rect class="empty" x="0" y="{y + 21}" width="{WIDTH}" height="{BAR_HEIGHT}"/>'
    if (end := _scale_value(bar.value, top)) is not None:
        yield f'<rect class="series-{bar.series}" x="0" y="{y + 21}" width="{end:.1f}" height="{BAR_HEIGHT}"/>'
    low, high = _scale_value(bar.low, top), _scale_value(bar.high, top)
    if low is not None and high is not None:
        middle = y + 21 + BAR_HEIGHT / 2
        whiskers = _draw_whisker(low, middle) + _draw_whisker(high, middle)
        yield f'<path class="interval" d="M{low:.1f} {middle}H{high:.1f}{whiskers}"/>'


def _draw_whisker(x: float, middle: float) -> str:
    return f"M{x:.1f} {middle - WHISKER_HEIGHT}v{2 * WHISKER_HEIGHT}"


def _scale_value(value: float | None, top: float) -> float | None:
    """Where it stands on the scale; None for what is no number."""
    if value is None or not math.isfinite(value):
        return None
    return min(1.0, max(0.0, value / top)) * WIDTH
