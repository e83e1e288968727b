"""With which probability a comparison finds a difference."""

import math
from collections.abc import Sequence

from robotrain_runtime.comparison.betting import Capital
from robotrain_runtime.comparison.decision import ComparisonPlan

NEGLIGIBLE = 1e-12
"""The probability of courses that are left out."""


def list_discordances(plan: ComparisonPlan) -> Sequence[float]:
    """Return shares of pairs with different outcomes that a difference may come with, the least possible one first."""
    return [min(1.0, plan.detect + more) for more in (0, 0.2, 0.4)]


def compute_power(plan: ComparisonPlan, pairs: int, discordance: float, comparisons: int = 1) -> float:
    """Return the probability that the better of two policies is found in so many pairs, with the looks of the plan.

    Exact for successes, by dynamic programming over the pairs with different outcomes: all others change no capital.

    :param plan: its confidence, and the difference to be found.
    :param discordance: the mean squared difference of a pair: of successes the share of pairs with different outcomes.
        A difference is at least as frequent as it is large.
    """
    discordance = min(1.0, max(discordance, plan.detect))
    rate = (1 + plan.detect / discordance) / 2
    needed = -math.log((1 - plan.confidence) / comparisons / 2)
    reached = _compute_tails(pairs, discordance)
    courses = {0: 1.0}
    """The probability of so many wins, among the discordant pairs so far, without a decision at an earlier look."""
    power = 0.0
    least = 1
    for count in range(1, pairs + 1):
        if reached[count] < NEGLIGIBLE:
            break
        later: dict[int, float] = {}
        for wins, probability in courses.items():
            later[wins + 1] = later.get(wins + 1, 0.0) + probability * rate
            later[wins] = later.get(wins, 0.0) + probability * (1 - rate)
        while least <= count and not _is_decided(least, count - least, needed):
            least += 1
        decided = sum(probability for wins, probability in later.items() if wins >= least)
        if plan.looks_once:
            power += (reached[count] - reached[count + 1]) * decided
            courses = {wins: probability for wins, probability in later.items() if probability >= NEGLIGIBLE}
            continue
        power += reached[count] * decided
        courses = {
            wins: probability
            for wins, probability in later.items()
            if count - least < wins < least and probability >= NEGLIGIBLE
        }
    return power


def _is_decided(wins: int, losses: int, needed: float) -> bool:
    return Capital(0, {1: wins, -1: losses}).logarithm >= needed


def _compute_tails(pairs: int, share: float) -> list[float]:
    """Return, for each count, the probability that at least so many of the pairs are among the share."""
    tails = [0.0] * (pairs + 2)
    for count in range(pairs, -1, -1):
        ways = math.lgamma(pairs + 1) - math.lgamma(count + 1) - math.lgamma(pairs - count + 1)
        others = (pairs - count) * math.log1p(-share) if share < 1 else 0.0 if count == pairs else -math.inf
        tails[count] = tails[count + 1] + math.exp(ways + count * math.log(share) + others)
    return tails
