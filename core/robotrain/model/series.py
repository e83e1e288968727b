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
        closed_points, tail_points = self.closed, self.tail
        while tail_points and tail_points[-1][0] >= position:
            tail_points.pop()
        if not tail_points:
            while closed_points and closed_points[-1][0] >= position:
                closed_points.pop()
            if not closed_points:
                self.size, self.count = 1, 0
        if self.size == 1:
            if len(closed_points) < MAX_POINTS:
                closed_points.append((position, value))
                return
            self._merge_sections(4)
        if self.count >= self.size:
            self.closed += _select_extremes(tail_points)
            tail_points.clear()
            self.count = 0
            if len(self.closed) > MAX_POINTS:
                self._merge_sections(2)
        elif len(tail_points) >= MAX_TAIL:
            tail_points[:] = _select_extremes(tail_points)
        tail_points.append((position, value))
        self.count += 1

    def _merge_sections(self, factor: int) -> None:
        """Make sections larger by a factor: of four points, two remain."""
        first_point, inner_points = self.closed[0], self.closed[1:]
        parts = [inner_points[start : start + 4] for start in range(0, len(inner_points), 4)]
        self.closed = [first_point, *(point for part in parts for point in _select_extremes(part))]
        self.size *= factor


def thin_points(points: Sequence[Point], limit: int) -> list[Point]:
    """Return at most `limit` points: the first, the last, and the lowest and highest of each section between them."""
    if len(points) <= limit:
        return list(points)
    inner_points, count = points[1:-1], (limit - 2) // 2
    edges = [round(index * len(inner_points) / count) for index in range(count + 1)]
    sections = (_select_extremes(inner_points[start:end]) for start, end in itertools.pairwise(edges))
    return [points[0], *itertools.chain.from_iterable(sections), points[-1]]


def _select_extremes(points: Sequence[Point]) -> list[Point]:
    """Return the lowest and the highest point, in order; only one that is not finite if all are."""
    finite = [point for point in points if math.isfinite(point[1])]
    if not finite:
        return list(points[:1])
    return sorted({pick(finite, key=operator.itemgetter(1)) for pick in (min, max)})
