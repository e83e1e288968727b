"""A curve in the terminal: one column a slice of the steps, eighths of a character a value."""

import itertools
import math
from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
SAMPLED = 16


def curve(points: Sequence[tuple[int, float]], title: str, width: int = 60, height: int = 8) -> str:
    """(step, value) pairs as a bar chart with its range; values that are not finite are left out."""
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    if not finite:
        return f"{title}: no finite value"
    columns = _columns([value for _, value in finite], width)
    low, high = min(0.0, *columns), max(columns)
    scale = (high - low) or 1.0
    eighths = [max(1, round((value - low) / scale * height * 8)) for value in columns]
    rows = []
    for row in range(height - 1, -1, -1):
        label = {height - 1: f"{high:.3g}", 0: f"{low:.3g}"}.get(row, "")
        bar = "".join(BLOCKS[min(8, max(0, eighth - row * 8))] for eighth in eighths)
        rows.append(f"{label:>8} │{bar}")
    first, last = finite[0], finite[-1]
    foot = (
        f"{'':>8} └{'─' * len(columns)}\n{'':>9} step {first[0]} to {last[0]}: {title} {first[1]:.4g} → {last[1]:.4g}"
    )
    return "\n".join([*rows, foot])


def _columns(values: Sequence[float], width: int) -> list[float]:
    """At most `width` means of neighbouring values; few values are drawn wider."""
    if len(values) <= width:
        wide = max(1, width // len(values))
        return [value for value in values for _ in range(min(wide, 6))]
    edges = [round(index * len(values) / width) for index in range(width + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]


def sparkline(points: Sequence[tuple[int, float]], width: int, blocks: str = BLOCKS[1:], dot: str = "·") -> str:
    """(step, value) pairs on one line, at most `width` long; a slice without any finite value is a dot.

    Of a long slice some values stand for all: it is drawn again and again while a run goes on.
    """
    count = min(width, len(points))
    edges = [index * len(points) // count for index in range(count + 1)] if count > 0 else []
    means = [_mean(points[a : b : 1 + (b - a) // SAMPLED]) for a, b in itertools.pairwise(edges)]
    finite = [mean for mean in means if mean is not None]
    low, scale = min(finite, default=0.0), (max(finite, default=0.0) - min(finite, default=0.0)) or 1.0
    return "".join(dot if mean is None else blocks[round((mean - low) / scale * (len(blocks) - 1))] for mean in means)


def _mean(points: Sequence[tuple[int, float]]) -> float | None:
    finite = [value for _, value in points if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None
