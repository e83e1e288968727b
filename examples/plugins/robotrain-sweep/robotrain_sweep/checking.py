"""Every run of a sweep, checked and rendered before any is sent: what is wrong with several is told once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from robotrain.plugin import Problem, Rejected

from robotrain_sweep.grid import Point, told


def check(points: Sequence[Point], render: Callable[[Point], Any]) -> None:
    """Raises Rejected with every problem of every run."""
    found: dict[Problem, list[Point]] = {}
    stops = False
    for point in points:
        try:
            render(point)
        except Rejected as rejected:
            stops = True
            for problem in rejected.problems:
                found.setdefault(problem, []).append(point)
    if stops:
        raise Rejected(_named(problem, by, len(points)) for problem, by in found.items())


def _named(problem: Problem, by: Sequence[Point], count: int) -> Problem:
    """With the runs that it is a problem of, when those are not all of them."""
    if len(by) == count:
        return problem
    runs = f"Of {len(by)} of {count} runs: {'; '.join(map(told, by))}."
    return replace(problem, why=f"{problem.why}\n{runs}".strip())
