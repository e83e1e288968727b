"""Whether success rates differ significantly: for each pair of equal conditions, by their episodes or intervals."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from robotrain_runtime.comparison.decision import adjust_p_values

MAX_PAIRS = 45
"""Of ten runs; more are named, not compared."""
SIGNIFICANCE = 0.05
"""The probability below which a difference is not explained by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessRate:
    """A success rate with its 95 % interval."""

    run: str
    """The label of its run."""
    value: float
    low: float | None = None
    high: float | None = None
    conditions: str = ""
    """The conditions of the evaluation; empty if unknown."""
    outcomes: Mapping[tuple[str, int], bool] = field(default_factory=dict)
    """Whether each trial succeeded, by its task and number; empty if unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateDifference:
    """Two rates of equal conditions, and whether chance explains their difference."""

    first: str
    second: str
    text: str
    """A sentence that says it."""
    only_first: int | None = None
    """The trials in which only the first succeeded; None if they did not have the same ones."""
    only_second: int | None = None
    p: float | None = None
    """The probability of such a difference by chance; None if it is not known."""
    p_adjusted: float | None = None
    """That probability, corrected for the number of pairs (Holm)."""
    significant: bool | None = None
    """None if that is not known."""


def describe_differences(rates: Sequence[SuccessRate]) -> Iterator[str]:
    """Yield sentences about the conditions of two or more rates, and about the significance of their differences."""
    groups: dict[str, list[SuccessRate]] = {}
    for rate in rates:
        groups.setdefault(rate.conditions, []).append(rate)
    if len(rates) < 2:
        return
    if len(groups) > 1:
        yield "These rates have different conditions and cannot be compared with each other:"
        for conditions, group in groups.items():
            yield f"{', '.join(rate.run for rate in group)}: {conditions or 'unknown conditions'}"
    elif "" in groups:
        yield "The conditions of these rates are unknown: they can be compared only if the conditions are equal."
    else:
        yield f"Conditions of all: {rates[0].conditions}."
    differences = compare_rates(rates)
    yield from (one.text for one in differences[:MAX_PAIRS])
    if len(differences) > MAX_PAIRS:
        yield f"{len(differences) - MAX_PAIRS} more pairs are not shown: `robotrain report --json` has them all."
    if (tested := sum(one.p is not None for one in differences)) > 1:
        yield f"Each p is corrected for {tested} pairs (Holm)."


def compare_rates(rates: Sequence[SuccessRate]) -> list[RateDifference]:
    """Compare each pair of rates of equal, known conditions; p-values are corrected for their number."""
    pairs = itertools.combinations(rates, 2)
    alike = [pair for pair in pairs if pair[0].conditions and pair[0].conditions == pair[1].conditions]
    counts = [_count_differences(*pair) for pair in alike]
    p_values = [compute_sign_test(*count) for count in counts if count]
    adjusted = zip(p_values, adjust_p_values(p_values), strict=True)
    return [
        _compare_outcomes(*pair, *count, *next(adjusted)) if count else _compare_intervals(*pair)
        for pair, count in zip(alike, counts, strict=True)
    ]


def _count_differences(first: SuccessRate, second: SuccessRate) -> tuple[int, int] | None:
    """Return in how many trials only one of them succeeded; None if they did not have the same ones."""
    if not first.outcomes or first.outcomes.keys() != second.outcomes.keys():
        return None
    only_first = sum(success and not second.outcomes[start] for start, success in first.outcomes.items())
    only_second = sum(success and not first.outcomes[start] for start, success in second.outcomes.items())
    return only_first, only_second


def _compare_intervals(first: SuccessRate, second: SuccessRate) -> RateDifference:
    better, worse = sorted((first, second), key=lambda rate: -rate.value)
    significant = None if better.low is None or worse.high is None else better.low > worse.high
    if significant is None:
        text = f"The uncertainty of the rates of {first.run} and {second.run} is unknown."
    elif significant:
        text = f"The intervals of {first.run} and {second.run} do not overlap: {better.run} is better."
    else:
        text = f"The intervals of {first.run} and {second.run} overlap: the difference may be chance."
    return RateDifference(first=first.run, second=second.run, text=text, significant=significant)


def _compare_outcomes(
    first: SuccessRate, second: SuccessRate, only_first: int, only_second: int, p: float, p_adjusted: float
) -> RateDifference:
    same = f"{first.run} and {second.run} had the same {len(first.outcomes)} starts"
    chance = "is probably not chance" if p_adjusted < SIGNIFICANCE else "may be chance"
    text = (
        f"{same}: only {first.run} succeeded in {only_first}, only {second.run} in {only_second}; "
        f"the difference {chance} (p {p_adjusted:.2g}, sign test)."
    )
    if not only_first + only_second:
        text = f"{same} and succeeded in the same ones."
    return RateDifference(
        first=first.run,
        second=second.run,
        text=text,
        only_first=only_first,
        only_second=only_second,
        p=p,
        p_adjusted=p_adjusted,
        significant=p_adjusted < SIGNIFICANCE,
    )


def compute_sign_test(first: int, second: int) -> float:
    """Return the probability of a split at least this uneven by chance (exact two-sided sign test)."""
    total = first + second
    tail = sum(math.comb(total, count) for count in range(max(first, second), total + 1))
    return min(1.0, 2 * tail / math.pow(2, total))
