"""Comparing two policies: how often the answer is wrong, and how many episodes it takes, computed exactly.

    ./uvw run python bench/compare.py [--quick]

An episode of one policy and one of the other, from the same start, are a pair; discordance is the share of pairs in
which only one of them succeeds. Every figure is a probability, or a mean over all courses that a comparison can take,
by dynamic programming over the numbers of pairs that either policy wins. A look follows each
pair. Missed: the better policy was not found before the last pair. The floor of episodes is the size of McNemar's test
that finds 20 points at discordance 0.4 with a probability of 80 %, two-sided, at 5 %; it takes that many in any case.

What may mislead a comparison is simulated with equal policies: tables that were sorted by success, lack the failures of
one side, repeat each start, or have a good morning; gates at the floor; an evaluation that broke off; evaluations of
one checkpoint that pass as trainings; checkpoints of which the best is compared; and comparing again until one wins.
"""

import argparse
import bisect
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import rows
from robotrain.comparison.scores_file import read_scores
from robotrain.comparison.table import ComparedSide, compare_sides
from robotrain.comparison.training_table import dump_trainings
from robotrain.report.compared_evaluations import find_trainings
from robotrain_runtime.comparison.betting import Capital
from robotrain_runtime.comparison.continuation import (
    EarlierComparison,
    choose_skip,
    count_pairs,
    select_continued,
    sum_counts,
)
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
TRIED_DISCORDANCES = (0.1, 0.3, 0.5)
KEPT = 0.8
"""How often a comparison that is to be killed gets through one more round."""
VERDICTS = ("better", "worse", "not worse")
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


def list_inputs() -> dict[str, Callable[[random.Random], bool]]:
    """Return what may mislead, by name: each draws one of it, and returns whether a false verdict is given."""
    inputs: dict[str, Callable[[random.Random], bool]] = {
        "rows as they were played": lambda draw: is_misled(draw_table(draw)),
        "rows sorted by success": lambda draw: is_misled(sort_by_success(draw)),
        "one side's failures left out": lambda draw: is_misled(leave_failures_out(draw)),
        "a good morning, a bad afternoon": lambda draw: is_misled(draw_drift(draw)),
        "a gate where neither ever succeeds": lambda draw: is_misled(draw_floor(draw), margin=0.1),
        "five repetitions of each start": lambda draw: is_misled(draw_repetitions(draw)),
        "an evaluation broken off when it was best": lambda draw: is_misled(break_off(draw)),
        "four evaluations of one checkpoint as trainings": lambda draw: compare_trainings(draw, trainings=1),
        "four trainings": lambda draw: compare_trainings(draw, trainings=4),
        "the best of 3 checkpoints on the starts that chose it": compare_best,
        "3 checkpoints compared together": compare_checkpoints,
    }
    for discordance in TRIED_DISCORDANCES:
        name = f"up to 3 tries, discordance {discordance:g}"
        inputs[f"{name}: each goes on"] = partial(try_again, discordance=discordance)
    inputs["up to 3 tries, each killed once"] = partial(try_again, discordance=0.3, is_killed=True)
    return inputs


def measure_misleading(repetitions: int) -> Iterator[Row]:
    """Simulate what would mislead: how often a verdict is given that is not true of equal policies."""
    names = [*list_inputs()]
    with ProcessPoolExecutor() as pool:
        for name, wrong in zip(names, pool.map(partial(count_wrong, repetitions=repetitions), names), strict=True):
            yield Row(
                name=f"{name}, {repetitions:,} times: a false verdict",
                ours=100 * wrong / repetitions,
                unit="%",
                ceiling=MISLED_CEILING,
            )


def count_wrong(name: str, repetitions: int) -> int:
    """Return how often an input leads to a false verdict."""
    draw, is_wrong = random.Random(67), list_inputs()[name]
    return sum(is_wrong(draw) for _ in range(repetitions))


def is_misled(episodes: Sequence[Observation], first: str = "a", second: str = "b", **question: float) -> bool:
    """Return whether a verdict about two policies is given."""
    sides = [ComparedSide(side=Side(name), facts={}) for name in (first, second)]
    return compare_sides(episodes, sides, ComparisonPlan(**question)).verdicts[0].verdict in VERDICTS


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


def draw_repetitions(draw: random.Random) -> list[Observation]:
    """Return episodes of a file in which each start suits one of the policies, and is repeated."""
    lines = ["policy,start,success"]
    for start in range(12):
        suited = draw.choice("ab")
        for repetition in range(1, 6):
            suffix = f"-{repetition}" if repetition > 1 else ""
            lines += [
                f"{name},{start}{suffix},{int(draw.random() < (0.9 if name == suited else 0.1))}" for name in "ab"
            ]
    return read_scores("\n".join(lines).encode(), "episodes.csv")


def break_off(draw: random.Random) -> list[Observation]:
    """Return episodes of which those of the first end at the start after which it looked best."""
    episodes = draw_table(draw)
    first, second = ([episode for episode in episodes if episode.policy == name] for name in "ab")
    leads = [
        (
            sum(mine.success - yours.success for mine, yours in zip(first[:count], second, strict=False)) / count**0.5,
            count,
        )
        for count in range(10, len(first) + 1)
    ]
    return [*first[: max(leads)[1]], *second]


def compare_trainings(draw: random.Random, trainings: int) -> bool:
    """Return whether one of two equal methods is called better, of four evaluations of so many trainings each."""
    episodes, facts = list[Observation](), list[Any]()
    for name in "ab":
        rates = [draw.uniform(0.2, 0.8) for _ in range(trainings)]
        for number in range(4):
            training = number % trainings
            policy = {"sha256": f"{name}{training}"}
            facts.append(SimpleNamespace(results=SimpleNamespace(policy=policy), sources=(), training_run=""))
            episodes += [
                Observation(
                    policy=name, start=str(start), success=draw.random() < rates[training], training=f"{name}{number}"
                )
                for start in range(60)
            ]
    firsts = find_trainings(facts)
    labels = [f"{name}{number}" for name in "ab" for number in range(4)]
    joined = dict(zip(labels, [labels[first] for first in firsts], strict=True))
    episodes = [replace(episode, training=joined[episode.training]) for episode in episodes]
    sides = [ComparedSide(side=Side(name), facts={"label": name}) for name in "ab"]
    return dump_trainings(episodes, sides, ComparisonPlan(), None, None)["verdicts"][0]["verdict"] in VERDICTS


def draw_checkpoints(draw: random.Random) -> list[Observation]:
    """Return episodes of an old policy, and of three checkpoints that are as good."""
    names = ("old", *range(3))
    return [
        Observation(policy=str(name), start=str(start), success=draw.random() < 0.5)
        for start in range(60)
        for name in names
    ]


def compare_best(draw: random.Random) -> bool:
    """Return whether the best of the checkpoints, or the old policy, is called better."""
    episodes = draw_checkpoints(draw)
    successes = Counter(episode.policy for episode in episodes if episode.success and episode.policy != "old")
    best = successes.most_common(1)[0][0]
    return is_misled(episodes, best, "old")


def compare_checkpoints(draw: random.Random) -> bool:
    """Return whether one of the checkpoints is called better or worse than the old policy."""
    sides = [ComparedSide(side=Side(name), facts={}) for name in ("0", "1", "2", "old")]
    comparison = compare_sides(draw_checkpoints(draw), sides, ComparisonPlan(), references=[3])
    return any(verdict.verdict in VERDICTS for verdict in comparison.verdicts)


def try_again(draw: random.Random, discordance: float, *, is_killed: bool = False) -> bool:
    """Return whether up to three comparisons of equal policies find one better, each only if none before it did.

    :param is_killed: whether each is killed after a round, and goes on from it.
    """
    plan = ComparisonPlan(at_most=plan_pairs(ComparisonPlan()).at_most)
    earlier = list[EarlierComparison]()
    for _ in range(3):
        skip = choose_skip(earlier, seed=0, skip=0, episodes=plan.at_most)
        outcomes = [draw.random() for _ in range(plan.at_most)]
        table = [
            Observation(
                policy=name,
                start=str(skip + start),
                success=outcome < discordance and (outcome < discordance / 2) == (name == "a"),
            )
            for start, outcome in enumerate(outcomes)
            for name in "ab"
        ]
        rounds = [0]
        while is_killed and draw.random() < KEPT and rounds[-1] < plan.at_most:
            rounds.append(min(plan.at_most, rounds[-1] + choose_round(rounds[-1])))
        counts = [sum_counts(select_continued(earlier, ("a", "b")), "a", "b")]
        for played in (*rounds[-1:] * is_killed, plan.at_most):
            pairing = pair_sides(table[: 2 * played], Side("a"), Side("b"))
            if compare([pairing], plan, counts)[0].verdict in VERDICTS:
                return True
        own = EarlierComparison(
            run=str(skip),
            policies=("a", "b"),
            counts=[count_pairs(pairing.pairs)],
            seed=0,
            skip=skip,
            episodes=plan.at_most,
        )
        earlier.append(own)
    return False


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
