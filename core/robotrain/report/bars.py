"""Bars as SVG, one below the other: a value each, and how sure it is, as a line across its end."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, ROW, TALL = 720, 44, 14
LONGEST_NAME = 80
WHISKER = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its name. low, high: the interval it lies in. text: the value in words. series: its colour."""

    name: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    series: int = 1


def bars(shown: Sequence[Bar], top: float | None = None) -> str:
    """The bars on one scale from nothing to `top`, or to the greatest of them; those that cannot be drawn are text."""
    ends = [value for bar in shown for value in (bar.value, bar.high) if value is not None and math.isfinite(value)]
    top = top or max(ends, default=0.0) or 1.0
    height = ROW * len(shown)
    label = escape(", ".join(f"{bar.name} {bar.text}" for bar in shown))
    drawn = "".join(part for at, bar in enumerate(shown) for part in _bar(bar, at * ROW, top))
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{drawn}</svg>'


def _bar(bar: Bar, y: int, top: float) -> Iterator[str]:
    name = bar.name if len(bar.name) <= LONGEST_NAME else bar.name[: LONGEST_NAME - 1] + "…"
    yield f'<text class="name" x="0" y="{y + 15}">{escape(name)}</text>'
    yield f'<text class="value" x="{WIDTH}" y="{y + 15}" text-anchor="end">{escape(bar.text)}</text>'
    yield f'<rect class="empty" x="0" y="{y + 21}" width="{WIDTH}" height="{TALL}"/>'
    if (end := _across(bar.value, top)) is not None:
        yield f'<rect class="series-{bar.series}" x="0" y="{y + 21}" width="{end:.1f}" height="{TALL}"/>'
    low, high = _across(bar.low, top), _across(bar.high, top)
    if low is not None and high is not None:
        middle = y + 21 + TALL / 2
        yield f'<path class="interval" d="M{low:.1f} {middle}H{high:.1f}{_end(low, middle)}{_end(high, middle)}"/>'


def _end(x: float, middle: float) -> str:
    return f"M{x:.1f} {middle - WHISKER}v{2 * WHISKER}"


def _across(value: float | None, top: float) -> float | None:
    """Where it stands on the scale; None for what is no number."""
    if value is None or not math.isfinite(value):
        return None
    return min(1.0, max(0.0, value / top)) * WIDTH
