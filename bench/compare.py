"""Comparing two policies: how often the answer is wrong, and how many episodes it takes, computed exactly.

    ./uvw run python bench/compare.py [--quick]

An episode of one policy and one of the other, from the same start, are a pair; discordance is the share of pairs in
which only one of them succeeds. Every figure is a probability, or a mean over all courses that a comparison can take,
by dynamic programming over the numbers of pairs that either policy wins. A look follows each
pair. Missed: the better policy was not found before the last pair. The floor of episodes is the size of McNemar's test
that finds 20 points at discordance 0.4 with a probability of 80 %, two-sided, at 5 %; it takes that many in any case.

What may mislead a comparison is simulated: tables of equal policies that were sorted by success, lack the failures of
one side, or have a good morning, and gates at the floor.
"""

import argparse
import bisect
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import rows
from robotrain.comparison.table import ComparedSide, compare_sides
from robotrain_runtime.comparison.betting import Capital
from robotrain_runtime.comparison.decision import ComparisonPlan, choose_round, compare, plan_pairs
from robotrain_runtime.comparison.observations import Observation, Side, pair_sides
from rows import Row

NULL_LOOKS = 400
NEGLIGIBLE = 1e-15
"""The probability of columns of the table that are left out."""
SCORED_PAIRS = 3000
REPETITIONS = 2000
ROUNDS_CEILING = 1.1
"""The pairs of a comparison in rounds, in those of one that looks after each."""
MISLED_CEILING = 6
"""5 %, and one point for the error of so many repetitions."""


@dataclass(frozen=True)
class Truth:
    """Two policies: the share of pairs that only the first wins, and that only the second does."""

    wins: float
    losses: float

    @property
    def difference(self) -> float:
        """Of their success rates."""
        return round(self.wins - self.losses, 9)


@dataclass(frozen=True)
class Courses:
    """All courses of a comparison: the probability that a bound has passed a value, after so many pairs."""

    above: list[float]
    """The difference is surely larger than the value."""
    below: list[float]

    def compute_pairs(self, at_most: int, *, in_rounds: bool = False) -> float:
        """Return the mean number of pairs of a comparison that stops when a bound has passed the value."""
        mean, played = 0.0, 0
        while played < at_most:
            size = min(choose_round(played) if in_rounds else 1, at_most - played)
            mean += size * (1 - self.above[played] - self.below[played])
            played += size
        return mean


class Boundary:
    """How many wins it takes until the difference is surely larger than a value."""

    def __init__(self, value: float, error: float) -> None:
        self.value = value
        self.needed = -math.log(error)
        self._found: dict[tuple[int, int], int] = {}

    def find(self, pairs: int, losses: int) -> int:
        """Return the number of wins; more than `pairs - losses` if there are not enough pairs."""
        ties_count = self.value != 0
        key = (losses, pairs if ties_count else 0)
        if key not in self._found:
            most = pairs - losses if ties_count else NULL_LOOKS
            self._found[key] = bisect.bisect_left(
                range(most + 1), self.needed, key=lambda wins: self._bet(wins, losses, pairs if ties_count else 0)
            )
        return self._found[key]

    def _bet(self, wins: int, losses: int, pairs: int) -> float:
        ties = max(0, pairs - wins - losses)
        return Capital(self.value, Counter({1: wins, -1: losses, 0: ties})).logarithm


def follow(truth: Truth, above: Boundary, below: Boundary, looks: int) -> Courses:
    """Return the courses of a comparison; `below` is the boundary of the second policy's wins."""
    table = np.zeros((looks + 1, looks + 1))  # the probability of so many wins, and so many losses, without an end
    table[0, 0] = 1
    ended = ([0.0], [0.0])
    for pairs in range(1, looks + 1):
        last = table
        table = last * (1 - truth.wins - truth.losses)
        table[1:] += last[:-1] * truth.wins
        table[:, 1:] += last[:, :-1] * truth.losses
        for view, boundary, probabilities in ((table, above, ended[0]), (table.T, below, ended[1])):
            passed = 0.0
            for losses in np.flatnonzero(view.sum(axis=0) > NEGLIGIBLE):
                least = boundary.find(pairs, int(losses))
                passed += float(view[least:, losses].sum())
                view[least:, losses] = 0
            probabilities.append(probabilities[-1] + passed)
    return Courses(*ended)


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Compute the errors, the episodes and the intervals, and measure the time of one comparison."""
    plan = ComparisonPlan()
    error = (1 - plan.confidence) / 2
    zero = Boundary(0, error)
    for discordance in (0.1, 0.3, 0.5):
        truth = Truth(discordance / 2, discordance / 2)
        courses = follow(truth, zero, zero, NULL_LOOKS)
        wrong = 100 * (courses.above[-1] + courses.below[-1])
        name = f"equal policies, discordance {discordance:g}: one called better, {NULL_LOOKS} looks"
        yield Row(name=name, ours=wrong, unit="%", ceiling=5)
    planned = plan_pairs(plan)
    for truth, name, ceiling in ((Truth(0.3, 0.1), "+20 points", 1), (Truth(0.35, 0.05), "+30 points", 0.55)):
        courses = follow(truth, zero, zero, planned.at_most)
        missed = 100 * (1 - courses.above[-1])
        name = f"{name} at discordance 0.4, at most {planned.at_most} pairs"
        yield Row(name=f"{name}: missed", ours=missed, unit="%", ceiling=20)
        fixed = {"floor": planned.fixed, "floor_name": "McNemar's test for 20 points"}
        mean = courses.compute_pairs(planned.at_most)
        yield Row(name=f"{name}: mean", ours=mean, unit="pairs", ceiling=ceiling, **fixed)
        in_rounds = courses.compute_pairs(planned.at_most, in_rounds=True)
        each = {"floor": mean, "floor_name": "a look after each pair"}
        yield Row(name=f"{name}: mean, in rounds", ours=in_rounds, unit="pairs", ceiling=ROUNDS_CEILING, **each)
    truth = Truth(0.6, 0.1)
    courses = follow(truth, zero, zero, planned.at_most)
    each = {"floor": courses.compute_pairs(planned.at_most), "floor_name": "a look after each pair"}
    in_rounds = courses.compute_pairs(planned.at_most, in_rounds=True)
    yield Row(
        name="+50 points at discordance 0.7: mean, in rounds",
        ours=in_rounds,
        unit="pairs",
        ceiling=ROUNDS_CEILING,
        **each,
    )
    looks = 60 if options.quick else NULL_LOOKS
    for truth in (Truth(0.1, 0.0), Truth(0.3, 0.1), Truth(0.5, 0.1)):
        value = truth.difference
        courses = follow(truth, Boundary(value, error), Boundary(-value, error), looks)
        missed = 100 * (courses.above[-1] + courses.below[-1])
        name = f"+{100 * value:g} points, discordance {truth.wins + truth.losses:g}"
        yield Row(name=f"{name}: not in the interval at some of {looks} looks", ours=missed, unit="%", ceiling=5)
    planned = plan_pairs(ComparisonPlan(margin=0.1))
    courses = follow(Truth(0.1, 0.1), Boundary(-0.1, error), Boundary(0.1, error), planned.at_most)
    name = f"equal policies, not worse by 10 points, at most {planned.at_most} pairs"
    yield Row(name=f"{name}: missed", ours=100 * (1 - courses.above[-1]), unit="%", ceiling=20)
    fixed = {"floor": planned.fixed, "floor_name": "a test of fixed size"}
    yield Row(name=f"{name}: mean", ours=courses.compute_pairs(planned.at_most), unit="pairs", **fixed)
    yield from measure_misleading(200 if options.quick else REPETITIONS)
    yield measure_time(100 if options.quick else SCORED_PAIRS)


def measure_misleading(repetitions: int) -> Iterator[Row]:
    """Simulate tables that would mislead: how often a verdict is given that is not true of equal policies."""
    inputs = {
        "rows as they were played": (draw_table, {}),
        "rows sorted by success": (sort_by_success, {}),
        "one side's failures left out": (leave_failures_out, {}),
        "a good morning, a bad afternoon": (draw_drift, {}),
        "a gate where neither ever succeeds": (draw_floor, {"margin": 0.1}),
    }
    sides = [ComparedSide(side=Side(name), facts={}) for name in "ab"]
    for name, (draw, plan_fields) in inputs.items():
        random_numbers, wrong = random.Random(67), 0
        for _ in range(repetitions):
            comparison = compare_sides(draw(random_numbers), sides, ComparisonPlan(**plan_fields))
            wrong += comparison.verdicts[0].verdict in ("better", "worse", "not worse")
        yield Row(
            name=f"{name}, {repetitions:,} tables: a false verdict",
            ours=100 * wrong / repetitions,
            unit="%",
            ceiling=MISLED_CEILING,
        )


def draw_table(draw: random.Random, rate: float = 0.5) -> list[Observation]:
    """Return episodes of two policies with one rate of success, from 60 starts."""
    return [
        Observation(policy=name, start=str(start), success=draw.random() < rate) for start in range(60) for name in "ab"
    ]


def sort_by_success(draw: random.Random) -> list[Observation]:
    """Return them as a spreadsheet sorts them."""
    return sorted(draw_table(draw), key=lambda observation: (observation.policy, not observation.success))


def leave_failures_out(draw: random.Random) -> list[Observation]:
    """Return them without the failures of the first."""
    return [observation for observation in draw_table(draw) if observation.policy == "b" or observation.success]


def draw_drift(draw: random.Random) -> list[Observation]:
    """Return episodes of which each half is better for the other policy."""
    return [
        Observation(
            policy=name, start=str(start), success=draw.random() < (0.9 if (name == "a") == (start < 30) else 0.1)
        )
        for start in range(60)
        for name in "ab"
    ]


def draw_floor(draw: random.Random) -> list[Observation]:
    """Return failures alone."""
    return draw_table(draw, 0)


def measure_time(pairs: int) -> Row:
    """Measure the processor time of a comparison of many scores that all differ."""
    draw = random.Random(0)
    table = [
        Observation(policy=policy, start=str(start), score=draw.random()) for start in range(pairs) for policy in "ab"
    ]
    pairing = pair_sides(table, Side("a"), Side("b"))
    before = time.process_time()
    compare([pairing], ComparisonPlan(measure="score"))
    return Row(
        name=f"compare {pairs:,} pairs of scores: processor time",
        ours=time.process_time() - before,
        unit="s",
        ceiling=1,
    )


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
