"""A series of measured values that stays small however long the run is."""

import itertools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field

Point = tuple[float, float]
MAX_POINTS = 1000
MAX_TAIL = 64


@dataclass
class Series:
    """Points (step or seconds, value) in order: all of a short run.

    Of a long run, it has the first and the last, and the lowest and highest of each section between them.
    """

    closed: list[Point] = field(default_factory=list)
    """The points of complete sections."""
    tail: list[Point] = field(default_factory=list)
    """Points of the last section, up to the newest; empty while all points are kept."""
    size: int = 1
    """How many measured points are a section."""
    count: int = 0
    """How many measured points belong to the last section."""

    @property
    def points(self) -> list[Point]:
        """All points."""
        return self.closed + self.tail

    def add(self, position: float, value: float) -> None:
        """Add a point; it replaces earlier ones from `position` on, which a restarted run repeats."""
        closed, tail = self.closed, self.tail
        while tail and tail[-1][0] >= position:
            tail.pop()
        if not tail:
            while closed and closed[-1][0] >= position:
                closed.pop()
            if not closed:
                self.size, self.count = 1, 0
        if self.size == 1:
            if len(closed) < MAX_POINTS:
                closed.append((position, value))
                return
            self._merge_sections(4)
        if self.count >= self.size:
            self.closed += _select_extremes(tail)
            tail.clear()
            self.count = 0
            if len(self.closed) > MAX_POINTS:
                self._merge_sections(2)
        elif len(tail) >= MAX_TAIL:
            tail[:] = _select_extremes(tail)
        tail.append((position, value))
        self.count += 1

    def _merge_sections(self, factor: int) -> None:
        """Make sections larger by a factor: of four points, two remain."""
        first, inner = self.closed[0], self.closed[1:]
        parts = [inner[start : start + 4] for start in range(0, len(inner), 4)]
        self.closed = [first, *(point for part in parts for point in _select_extremes(part))]
        self.size *= factor


def thin_points(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most `most` points: the first, the last, and the lowest and highest of each section between them."""
    if len(points) <= most:
        return list(points)
    inner, count = points[1:-1], (most - 2) // 2
    edges = [round(index * len(inner) / count) for index in range(count + 1)]
    sections = (_select_extremes(inner[start:end]) for start, end in itertools.pairwise(edges))
    return [points[0], *itertools.chain.from_iterable(sections), points[-1]]


def _select_extremes(points: Sequence[Point]) -> list[Point]:
    """Return the lowest and the highest point, in order; only one that is not finite if all are."""
    finite = [point for point in points if math.isfinite(point[1])]
    if not finite:
        return list(points[:1])
    low = min(finite, key=_GET_VALUE)
    high = max(finite, key=_GET_VALUE)
    return [low] if low is high else [low, high] if low[0] < high[0] else [high, low]


_GET_VALUE = operator.itemgetter(1)
