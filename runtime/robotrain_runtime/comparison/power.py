"""With which probability a comparison finds a difference."""

import math
from collections.abc import Sequence

from robotrain_runtime.comparison.betting import Capital
from robotrain_runtime.comparison.decision import ComparisonPlan

NEGLIGIBLE = 1e-12
"""The probability of courses that are left out."""


def list_discordances(plan: ComparisonPlan) -> Sequence[float]:
    """Return shares of pairs with different outcomes that a difference may come with, the least possible one first."""
    return [min(1.0, plan.detect + increase) for increase in (0, 0.2, 0.4)]


def compute_power(plan: ComparisonPlan, pair_count: int, discordance: float, comparisons: int = 1) -> float:
    """Return the probability that the better of two policies is found in so many pairs, with the looks of the plan.

    Exact for successes, by dynamic programming over the pairs with different outcomes: all others change no capital.

    :param plan: its confidence, and the difference to be found.
    :param discordance: the mean squared difference of a pair: of successes the share of pairs with different outcomes.
        A difference is at least as frequent as it is large.
    """
    discordance = min(1.0, max(discordance, plan.detect))
    rate = (1 + plan.detect / discordance) / 2
    needed_logarithm = -math.log((1 - plan.confidence) / comparisons / 2)
    reach_tails = _compute_tails(pair_count, discordance)
    courses = {0: 1.0}
    """The probability of so many wins, among the discordant pairs so far, without a decision at an earlier look."""
    power = 0.0
    fewest_wins = 1
    for count in range(1, pair_count + 1):
        if reach_tails[count] < NEGLIGIBLE:
            break
        next_courses: dict[int, float] = {}
        for wins, probability in courses.items():
            next_courses[wins + 1] = next_courses.get(wins + 1, 0.0) + probability * rate
            next_courses[wins] = next_courses.get(wins, 0.0) + probability * (1 - rate)
        while fewest_wins <= count and not _is_decided(fewest_wins, count - fewest_wins, needed_logarithm):
            fewest_wins += 1
        decided_share = sum(probability for wins, probability in next_courses.items() if wins >= fewest_wins)
        if plan.looks_once:
            power += (reach_tails[count] - reach_tails[count + 1]) * decided_share
            courses = {wins: probability for wins, probability in next_courses.items() if probability >= NEGLIGIBLE}
            continue
        power += reach_tails[count] * decided_share
        courses = {
            wins: probability
            for wins, probability in next_courses.items()
            if count - fewest_wins < wins < fewest_wins and probability >= NEGLIGIBLE
        }
    return power


def _is_decided(wins: int, losses: int, needed_logarithm: float) -> bool:
    return Capital(0, {1: wins, -1: losses}).logarithm >= needed_logarithm


def _compute_tails(pair_count: int, share: float) -> list[float]:
    """Return, for each count, the probability that at least so many of the pairs are among the share."""
    tails = [0.0] * (pair_count + 2)
    for count in range(pair_count, -1, -1):
        ways = math.lgamma(pair_count + 1) - math.lgamma(count + 1) - math.lgamma(pair_count - count + 1)
        outside_logarithm = (
            (pair_count - count) * math.log1p(-share) if share < 1 else 0.0 if count == pair_count else -math.inf
        )
        tails[count] = tails[count + 1] + math.exp(ways + count * math.log(share) + outside_logarithm)
    return tails
