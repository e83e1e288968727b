"""What a comparison decides after the pairs so far, and how many pairs it may need."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from robotrain_runtime.comparison.betting import BETS, MOST, ConfidenceSequence
from robotrain_runtime.comparison.continuation import PairCounts
from robotrain_runtime.comparison.observations import Measure, Pairing, compute_difference, get_value
from robotrain_runtime.comparison.rates import MOST_MARGIN

Verdict = Literal["better", "worse", "equal", "not worse", "not decided", "continue"]
"""Of the first side. `continue`: not yet decided, and there may be more pairs."""
Withheld = Literal["order", "missing", "floor", "ceiling"]
"""Why a verdict is withheld: all pairs together deny what a part of them showed; it would be another one if a start
that a policy lacks were its failure; a policy never succeeds, or both always do, so that no start tells them apart.
"""
CONFIDENCE = 0.95
"""That of a comparison whose plan says no other."""
POWER = 0.8
"""The probability with which a comparison finds the difference that it is planned for."""
OPPOSITE = 0.1
"""The share of starts at which the worse policy is assumed to do better, for planning."""
CAP = 1.5
"""How many times the pairs of a test of fixed size a comparison may use: it needs fewer in the mean, at times more."""
BOUND_CAP = 2
"""The same where the difference is to be smaller than something, which takes more."""
FIRST_ROUND, GROWTH = 10, 5
"""How many pairs the first rounds have together, and which part of the pairs so far each later one has: one of so many.
A decision then takes at most 1.09 times the pairs of looking after each (1.11 where one policy wins them all).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonPlan:
    """What is asked, all of it before the first episode. Raises ValueError for what cannot be asked."""

    confidence: float = CONFIDENCE
    """Of all that is said of all pairs of policies together, at every look."""
    detect: float = 0.2
    """The difference to be found, between 0 and 1; the number of pairs follows from it."""
    at_most: int | None = None
    """The most pairs; None for what `plan_pairs` says."""
    equal_within: float | None = None
    """Ask whether the difference is smaller than this."""
    margin: float | None = None
    """Ask whether the first is not worse by this much."""
    allow_floor: bool = False
    """Whether policies may be called not worse, or equal, where one never succeeds or both always do."""
    measure: Measure = "success"
    block: int = 1
    """How many pairs are looked at together: one of each task, where tasks differ. The mean over tasks is asked for:
    against it the capital of fixed bets is not expected to grow over a whole block, as it may within one.
    """
    looks_once: bool = False
    """Whether all pairs are looked at together: those of a table, whose order is not that in which they were played.
    The capital that they leave is the same in any order, so a table that grows between looks is one comparison.
    """

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0.5 <= self.confidence < 1:
            raise ValueError(f"the confidence is {self.confidence:g}; it must be from 0.5 to below 1")
        for name, maximum in (("detect", 1), ("equal_within", MOST_MARGIN), ("margin", MOST_MARGIN)):
            value = getattr(self, name)
            if value is not None and not 0 < value <= maximum:
                raise ValueError(f"{name.replace('_', ' ')} is {value:g}; it must be above 0, and at most {maximum:g}")
        if self.at_most is not None and self.at_most < 1:
            raise ValueError(f"at most is {self.at_most}; it must be 1 or more")
        if self.equal_within is not None and self.margin is not None:
            raise ValueError("equal within and a margin are two questions: ask one")
        if self.allow_floor and self.equal_within is self.margin is None:
            raise ValueError("allow floor has no effect without a margin or equal within")
        if self.measure == "sign" and (self.equal_within is not None or self.margin is not None):
            raise ValueError("scores without bounds have no interval: only which policy is better can be asked")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPairs:
    """How many pairs of episodes a comparison may need."""

    fixed: int
    """Those of a test of fixed size with the same power."""
    at_most: int
    fewest: int
    """With fewer, nothing can be decided, even if one policy wins each pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairVerdict:
    """What is known of two sides."""

    first: str
    second: str
    verdict: Verdict
    pairs: int
    at_most: int
    wins: int
    """Pairs in which the first did better."""
    losses: int
    ties: int
    earlier: int
    """Pairs of earlier comparisons of the two, which this one goes on from; they are among those counted here."""
    unmatched: int
    """Episodes without their pair, which do not count unless it is asked for."""
    discordance: float
    """The mean squared difference of a pair: of successes the share of pairs in which only one policy succeeds."""
    difference: float | None
    """The mean of the first minus that of the second; None without pairs, and for scores without bounds."""
    low: float | None
    """The lower end of the interval of the difference; None where that is None."""
    high: float | None
    e_value: float
    """The most evidence so far that the difference is not 0; of a margin, that it is not exactly minus the margin."""
    p_value: float
    """1 divided by the most evidence, corrected for the number of comparisons."""
    withheld: Withheld | None = None
    """Why it is not decided although some look would have decided it; None if none would."""


def compare(pairings: Sequence[Pairing], plan: ComparisonPlan, earlier: Sequence[PairCounts] = ()) -> list[PairVerdict]:
    """Return what is known of each comparison; the confidence is that of all together.

    :param plan: its most pairs are those of the pairings.
    :param earlier: of each pairing, how its pairs in earlier comparisons ended; empty without any.

    The intervals hold together (Bonferroni); whether one policy is better is decided by Holm's method on 1 / evidence,
    which refutes all that Bonferroni's does. More pairs revoke a decision only if they deny it: then it is withheld.
    Raise ValueError for an episode that lacks what is measured.
    """
    at_most = plan.at_most or plan_pairs(plan, len(pairings)).at_most
    earlier = earlier or [PairCounts()] * len(pairings)
    differences = [[compute_difference(pair, plan.measure) for pair in pairing.pairs] for pairing in pairings]
    tested_mean = -(plan.margin or 0)
    sequences = [ConfidenceSequence(1 - (1 - plan.confidence) / len(pairings), tested_mean) for _ in pairings]
    for sequence, pair_differences, counts in zip(sequences, differences, earlier, strict=True):
        sequence.resume(counts.differences)
        for number, difference in enumerate(pair_differences, start=1):
            is_last = number == len(pair_differences)
            sequence.add(difference, looks=is_last if plan.looks_once else number % plan.block == 0)
    p_values = adjust_p_values([min(1.0, 1 / sequence.e_value) for sequence in sequences])
    comparison_rows = zip(pairings, sequences, differences, earlier, p_values, strict=True)
    return [_judge_pairing(*comparison, plan, at_most, len(pairings)) for comparison in comparison_rows]


def _judge_pairing(
    pairing: Pairing,
    sequence: ConfidenceSequence,
    differences: Sequence[float],
    earlier_counts: PairCounts,
    p_value: float,
    plan: ComparisonPlan,
    at_most: int,
    comparisons: int,
) -> PairVerdict:
    low, high = sequence.low, sequence.high
    is_different = p_value <= 1 - plan.confidence
    if is_different:
        low, high = (max(low, 0.0), high) if sequence.is_above else (low, min(high, 0.0))
    is_last = len(differences) >= at_most
    verdict = decide(low, high, is_different, sequence.is_above, plan, is_last=is_last)
    withheld: Withheld | None = None
    if verdict != "continue" and sequence.is_contradicted:
        verdict, withheld = ("not decided", "order") if is_last else ("continue", None)
    elif verdict in ("not worse", "equal") and not (is_different and sequence.is_above):
        first_values, second_values = (
            [get_value(pair[number], plan.measure) for pair in pairing.pairs] for number in (0, 1)
        )
        withheld = find_floor(
            [*first_values, *earlier_counts.list_values(0)], [*second_values, *earlier_counts.list_values(1)], plan
        )
        verdict = "not decided" if withheld else verdict
    if plan.margin is not None:  # its interval decides (Bonferroni), and so does its evidence
        p_value = min(1.0, comparisons / sequence.asked_e_value)
    mean = sequence.mean if plan.measure != "sign" else None
    return PairVerdict(
        first=name_side(pairing, 0),
        second=name_side(pairing, 1),
        verdict=verdict,
        pairs=sequence.count,
        at_most=at_most + earlier_counts.total,
        wins=sum(difference > 0 for difference in differences) + earlier_counts.wins,
        losses=sum(difference < 0 for difference in differences) + earlier_counts.losses,
        ties=sum(difference == 0 for difference in differences) + earlier_counts.both + earlier_counts.neither,
        earlier=earlier_counts.total,
        unmatched=len(pairing.only_first) + len(pairing.only_second),
        discordance=(sum(difference**2 for difference in differences) + earlier_counts.wins + earlier_counts.losses)
        / max(1, sequence.count),
        difference=mean,
        low=None if mean is None else low,
        high=None if mean is None else high,
        e_value=sequence.asked_e_value,
        p_value=p_value,
        withheld=withheld,
    )


def find_floor(first_values: Sequence[float], second_values: Sequence[float], plan: ComparisonPlan) -> Withheld | None:
    """Return why the values of two policies cannot show that they are equal or not worse; None if they can.

    A margin is also without meaning where both always succeed: the starts are too easy.
    """
    if plan.allow_floor:
        return None
    if not (any(first_values) and any(second_values)):
        return "floor"
    return "ceiling" if plan.margin is not None and {*first_values, *second_values} == {1.0} else None


def name_side(pairing: Pairing, number: int) -> str:
    """Return the policy of a side, with its condition if both are the same policy."""
    side = (pairing.first, pairing.second)[number]
    is_same = pairing.first.policy == pairing.second.policy
    return f"{side.policy} ({side.condition})" if is_same and side.condition else side.policy


def decide(
    low: float, high: float, is_different: bool, is_above: bool, plan: ComparisonPlan, *, is_last: bool
) -> Verdict:
    """Return what an interval of the difference decides.

    :param is_different: whether a difference of 0 is refuted.
    :param is_above: whether the first is better if there is a difference.
    :param is_last: whether there are no more pairs to come.
    """
    if plan.margin is not None:
        if low > -plan.margin:
            return "not worse"
        if high < -plan.margin:
            return "worse"
        return "not decided" if is_last else "continue"
    if plan.equal_within is not None:
        if -plan.equal_within < low and high < plan.equal_within:
            return "equal"
        if not is_last and low < plan.equal_within and high > -plan.equal_within:
            return "continue"
    if is_different:
        return "better" if is_above else "worse"
    return "not decided" if is_last else "continue"


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm, "A simple sequentially rejective multiple test procedure")."""
    adjusted = [1.0] * len(p_values)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = least
    return adjusted


def plan_pairs(plan: ComparisonPlan, comparisons: int = 1, discordance: float | None = None) -> PlannedPairs:
    """Return how many pairs each of some comparisons may need.

    Either finds the difference with a probability of about 80 %: with a fixed size by McNemar's test (Connor, "Sample
    size for testing differences in proportions for the paired-sample design", 1987). Equal policies are assumed for
    `equal_within` and `margin`.

    :param discordance: the mean squared difference of a pair; None: one in ten starts goes against the better policy.
    """
    error = (1 - plan.confidence) / comparisons
    cap = CAP if plan.equal_within is plan.margin is None else BOUND_CAP
    confidence_quantile = NormalDist().inv_cdf(1 - error / 2)
    quantile = NormalDist().inv_cdf(POWER)
    if plan.equal_within is not None:
        two_sided_quantile = NormalDist().inv_cdf((1 + POWER) / 2)  # it must be found on both sides
        discordant_share = 2 * OPPOSITE if discordance is None else max(plan.equal_within, discordance)
        fixed_pairs = (confidence_quantile + two_sided_quantile) ** 2 * discordant_share / plan.equal_within**2
    elif plan.margin is not None:
        discordant_share = 2 * OPPOSITE if discordance is None else max(plan.margin, discordance)
        fixed_pairs = (confidence_quantile + quantile) ** 2 * discordant_share / plan.margin**2
    else:
        discordant_share = min(
            1.0, plan.detect + 2 * OPPOSITE if discordance is None else max(plan.detect, discordance)
        )
        spread = math.sqrt(max(0.0, discordant_share - plan.detect**2))
        fixed_pairs = ((confidence_quantile * math.sqrt(discordant_share) + quantile * spread) / plan.detect) ** 2
    count = math.ceil(fixed_pairs)
    fewest = count_fewest_pairs(plan.confidence, comparisons)
    return PlannedPairs(fixed=count, at_most=max(math.ceil(cap * count), fewest), fewest=fewest)


def choose_round(played_pairs: int, first_round: int = FIRST_ROUND) -> int:
    """Return how many pairs to play until the next look; bench/compare.py measures what that costs."""
    return max(math.ceil(played_pairs / GROWTH), FIRST_ROUND - played_pairs) if played_pairs else first_round


def count_fewest_pairs(confidence: float, comparisons: int = 1) -> int:
    """Return after how many pairs a policy is known to be better that wins each of them."""
    needed_capital = min(MOST, 2 * comparisons / (1 - confidence))
    pair_count = 1
    while sum(part * (1 + bet) ** pair_count for bet, part in BETS.items()) < needed_capital:
        pair_count += 1
    return pair_count
