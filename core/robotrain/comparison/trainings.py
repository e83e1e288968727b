"""Several trainings of each of two policies: the training is the unit, and their number is fixed beforehand.

Episodes of one training say nothing about the next: what another seed of the training would give is only seen between
trainings.
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from robotrain_runtime.comparison.decision import ComparisonPlan, Verdict, Withheld, decide, find_floor
from robotrain_runtime.comparison.observations import Measure, Observation, Side, get_value

FEWEST = 4
"""Trainings a side from which splits are counted; of fewer, no split is rare enough."""
MOST_SPLITS = 3_000_000
"""How many are counted: those of twelve trainings a side."""
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingVerdict:
    """What is known of two policies from several trainings of each."""

    verdict: Verdict
    first: tuple[float, ...]
    """The mean of each training of the first."""
    second: tuple[float, ...]
    difference: float
    """The mean of the first minus that of the second."""
    low: float | None
    """The lower end of the interval of the difference; None if so few trainings do not have one."""
    high: float | None
    p_value: float | None
    method: Literal["permutation", "welch"]
    withheld: Withheld | None = None
    """Why it is not decided although the interval would decide it."""

    @property
    def assumes_normality(self) -> bool:
        """Whether it holds only if the means of trainings are normally distributed."""
        return self.method == "welch"


def compute_training_means(observations: Sequence[Observation], side: Side, measure: Measure) -> dict[str, float]:
    """Return the mean over the episodes of each training of a side. Raise ValueError for what is not measured."""
    values_by_training: dict[str, list[float]] = {}
    for observation in observations:
        if side.has(observation):
            values_by_training.setdefault(observation.training, []).append(get_value(observation, measure))
    return {training: statistics.fmean(training_values) for training, training_values in values_by_training.items()}


def compare_trainings(first: Sequence[float], second: Sequence[float], plan: ComparisonPlan) -> TrainingVerdict:
    """Return what the means of trainings say, exactly from four a side, below by Welch's interval.

    :param plan: its confidence and question; the numbers of pairs do not count.
    """
    has_few = min(len(first), len(second)) < FEWEST or math.comb(len(first) + len(second), len(first)) > MOST_SPLITS
    lower_bound, upper_bound, p_value = (_compute_welch if has_few else _compute_permutation)(
        first, second, plan.confidence
    )
    difference = statistics.fmean(first) - statistics.fmean(second)
    is_different = p_value is not None and p_value <= 1 - plan.confidence
    bounds = (-math.inf if lower_bound is None else lower_bound, math.inf if upper_bound is None else upper_bound)
    verdict = decide(*bounds, is_different, difference > 0, plan, is_last=True)
    withheld = None
    if verdict in ("not worse", "equal") and not (is_different and difference > 0):
        withheld = find_floor(first, second, plan)
    return TrainingVerdict(
        verdict="not decided" if withheld else verdict,
        withheld=withheld,
        first=tuple(first),
        second=tuple(second),
        difference=difference,
        low=lower_bound,
        high=upper_bound,
        p_value=p_value,
        method="welch" if has_few else "permutation",
    )


def _compute_permutation(
    first_means: Sequence[float], second_means: Sequence[float], confidence: float
) -> tuple[float | None, float | None, float]:
    """Return the interval and the two-sided p-value of the exact test, in which one side is the other, shifted.

    Each other split of all trainings is at least as extreme as the given one for shifts on one side of a value: the
    mean of what it moves from the first side minus that of what it moves there.
    """
    all_means = [*first_means, *second_means]
    shifts = []
    for split in itertools.combinations(range(len(all_means)), len(first_means)):
        split_indexes = set(split)
        remaining_means = [all_means[index] for index in range(len(first_means)) if index not in split_indexes]
        joined_means = [all_means[index] for index in split if index >= len(first_means)]
        if remaining_means:
            shifts.append(statistics.fmean(remaining_means) - statistics.fmean(joined_means))
    shifts.sort()
    total = len(shifts) + 1
    sides = (sum(shift <= ROUNDING for shift in shifts), sum(shift >= -ROUNDING for shift in shifts))
    p_value = min(1.0, 2 * (min(sides) + 1) / total)
    rank = math.floor((1 - confidence) / 2 * total + ROUNDING)
    return (shifts[rank - 1], shifts[-rank], p_value) if rank else (None, None, p_value)


def _compute_welch(
    first_means: Sequence[float], second_means: Sequence[float], confidence: float
) -> tuple[float | None, float | None, float | None]:
    """Return Welch's interval and two-sided p-value; None of one training a side, and of trainings without spread."""
    if min(len(first_means), len(second_means)) < 2:
        return None, None, None
    errors = [statistics.variance(means) / len(means) for means in (first_means, second_means)]
    error = math.sqrt(sum(errors))
    if error <= ROUNDING:
        return None, None, None
    training_counts = (len(first_means), len(second_means))
    freedom = error**4 / sum(
        side_error**2 / (count - 1) for side_error, count in zip(errors, training_counts, strict=True)
    )
    difference = statistics.fmean(first_means) - statistics.fmean(second_means)
    margin = error * _compute_t_quantile(1 - confidence, freedom)
    return difference - margin, difference + margin, compute_t_tails(abs(difference) / error, freedom)


def _compute_t_quantile(tails: float, freedom: float) -> float:
    """Return the value whose two tails together have a probability, for Student's distribution."""
    lower_bound, upper_bound = 0.0, 1.0
    while compute_t_tails(upper_bound, freedom) > tails:
        lower_bound, upper_bound = upper_bound, 2 * upper_bound
    for _ in range(80):
        middle = (lower_bound + upper_bound) / 2
        lower_bound, upper_bound = (
            (middle, upper_bound) if compute_t_tails(middle, freedom) > tails else (lower_bound, middle)
        )
    return upper_bound


def compute_t_tails(t_value: float, freedom: float) -> float:
    """Return the probability of a value at least so far from 0 for Student's distribution.

    That is the regularized incomplete beta function at freedom / (freedom + value²), by its continued fraction.
    """
    half = freedom / 2
    share = freedom / (freedom + t_value**2)
    remaining_share = t_value**2 / (freedom + t_value**2)
    if not remaining_share:
        return 1.0
    scale = math.exp(
        math.lgamma(half + 0.5)
        - math.lgamma(half)
        - math.lgamma(0.5)
        + half * math.log(share)
        + 0.5 * math.log(remaining_share)
    )
    if share < (half + 1) / (half + 2.5):
        return scale * _expand_beta(half, 0.5, share) / half
    return 1 - scale * _expand_beta(0.5, half, remaining_share) / 0.5


def _expand_beta(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method."""
    numerator, fraction = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    denominator = fraction
    for step in range(1, 500):
        even_term = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd_term = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        for part in (even_term, odd_term):
            denominator = 1 / (1 + part * denominator)
            numerator = 1 + part / numerator
            fraction *= numerator * denominator
        if abs(numerator * denominator - 1) < ROUNDING:
            break
    return fraction
