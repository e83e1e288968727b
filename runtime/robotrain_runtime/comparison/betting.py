"""Bounds of the mean of paired differences that hold at every look, by betting.

Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal Statistical
Society B 86 (2024), pages 1-27: whoever bets a fixed share of the capital, pair after pair, that the mean is above m
does not grow rich if it is not. Starting with 1, the capital reaches 1/a with a probability of at most a, however often
one looks (Ville's inequality): then m is refuted. Here the capital is divided over several bets, each its own share of
the most that cannot be lost in one pair. The capital against m falls as m grows, so that the refuted means are those
below a bound.
"""

import math
from collections import Counter
from collections.abc import Mapping

BETS = {0.05: 0.03, 0.1: 0.07, 0.2: 0.1, 0.35: 0.2, 0.5: 0.4, 0.7: 0.15, 0.9: 0.05}
"""The bets, and the part of the first capital that each has: most for what grows quickest where one policy wins in 30 %
of pairs and the other in 10 %; the small ones narrow the interval of many pairs. bench/compare.py measures them.
"""
STEPS = 1000
"""How many means between 0 and 1 are looked at: a bound is rounded outwards by at most 0.001."""
ROUNDING = 1e-9
MOST = 1e300
"""The most capital that is reported."""


class Capital:
    """The capital of who bets that the mean of differences is above one value."""

    def __init__(self, mean: float, differences: Mapping[float, int]) -> None:
        self.mean = mean
        self.logarithms = [math.log(part) for part in BETS.values()]
        for difference, count in differences.items():
            self.add(difference, count)

    def add(self, difference: float, count: int = 1) -> None:
        """Win or lose the bets on some equal differences."""
        gain = (difference - self.mean) / (1 + self.mean)  # at least -1
        for number, bet in enumerate(BETS):
            self.logarithms[number] += count * math.log1p(bet * gain)

    @property
    def logarithm(self) -> float:
        """The logarithm of the whole capital."""
        max_logarithm = max(self.logarithms)
        return max_logarithm + math.log(sum(math.exp(logarithm - max_logarithm) for logarithm in self.logarithms))


class LowerBound:
    """A lower bound of the mean of differences between -1 and 1, one after the other; it never falls again."""

    def __init__(self, error: float, tested_mean: float = 0) -> None:
        """Start without differences; `error` is the probability that the bound is ever above the mean.

        :param tested_mean: the mean that the question is about: whether it is surely exceeded.
        """
        self.needed = -math.log(error)
        self.peak = 0.0
        """The logarithm of the most capital against the mean 0 so far."""
        self.last = 0.0
        """The logarithm of that capital at the last look."""
        self.asked_peak = 0.0
        """The logarithm of the most capital against the mean that is asked about."""
        self._differences: Counter[float] = Counter()
        self._asked = Capital(tested_mean, self._differences) if tested_mean else None
        self._step = -STEPS
        self._zero = Capital(0, self._differences)
        self._next = self._make_capital(1)

    def add(self, difference: float, count: int = 1, *, looks: bool = True) -> None:
        """Bet on some more equal differences, and look at what they gave."""
        self._differences[difference] += count
        self._zero.add(difference, count)
        self._next.add(difference, count)
        if self._asked:
            self._asked.add(difference, count)
        if not looks:
            return
        self.last = self._zero.logarithm
        self.peak = max(self.peak, self.last)
        self.asked_peak = max(self.asked_peak, self._asked.logarithm if self._asked else self.last)
        if self._next.logarithm >= self.needed:
            self._advance()
            self._next = self._make_capital(1)

    def _advance(self) -> None:
        """Go to the largest refuted mean, in strides that double and then halve."""
        stride = 1
        while self._is_refuted(stride):
            self._step += stride
            stride *= 2
        while stride := stride // 2:
            if self._is_refuted(stride):
                self._step += stride

    def _is_refuted(self, stride: int) -> bool:
        return self._step + stride <= STEPS and self._make_capital(stride).logarithm >= self.needed

    def _make_capital(self, stride: int) -> Capital:
        return Capital((self._step + stride) / STEPS, self._differences)

    @property
    def value(self) -> float:
        """The bound: each smaller mean is refuted."""
        return self._step / STEPS


class ConfidenceSequence:
    """The interval of the mean of differences between -1 and 1, which holds at all looks together."""

    def __init__(self, confidence: float, tested_mean: float = 0) -> None:
        """Start without differences; `confidence` is the probability that the interval holds the mean at every look.

        :param tested_mean: the mean that the question is about, such as that of a policy that is worse by the margin.
        """
        error = (1 - confidence) / 2
        self._below, self._above = LowerBound(error, tested_mean), LowerBound(error, 0 - tested_mean)
        self.total = 0.0
        self.count = 0

    def add(self, difference: float, count: int = 1, *, looks: bool = True) -> None:
        """Bet on some more equal differences, and look at what they gave."""
        self._below.add(difference, count, looks=looks)
        self._above.add(-difference, count, looks=looks)
        self.total += difference * count
        self.count += count

    def resume(self, differences: Mapping[float, int]) -> None:
        """Go on from the differences of earlier comparisons: with the capital that they left, not with their looks."""
        counts = [(difference, count) for difference, count in differences.items() if count]
        for number, (difference, count) in enumerate(counts, start=1):
            self.add(difference, count, looks=number == len(counts))

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self._below.value

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return 0 - self._above.value

    @property
    def e_value(self) -> float:
        """The most evidence so far that the mean is not 0; 1 divided by it is a p-value."""
        peak = max(self._below.peak, self._above.peak) - math.log(2)
        return math.exp(min(peak, math.log(MOST)))

    @property
    def asked_e_value(self) -> float:
        """The most evidence so far that the mean is not the one that is asked about."""
        peak = max(self._below.asked_peak, self._above.asked_peak) - math.log(2)
        return math.exp(min(peak, math.log(MOST)))

    @property
    def is_above(self) -> bool:
        """Whether there is more evidence for a mean above 0 than for one below."""
        return self._below.peak > self._above.peak

    @property
    def mean(self) -> float | None:
        """The mean of the differences so far; None without one."""
        return self.total / self.count if self.count else None

    @property
    def is_contradicted(self) -> bool:
        """Whether all differences together deny what a look on the way found.

        Either their mean lies outside of the interval, or who bet on the side with more evidence has lost all gain
        again. Both are rare where the order of the differences knows nothing of their values.
        """
        if self.mean is None:
            return False
        is_outside = not self.low - ROUNDING <= self.mean <= self.high + ROUNDING
        leading = self._below if self.is_above else self._above
        return is_outside or (leading.peak >= leading.needed and leading.last < 0)
