"""The confidence interval of a success rate, and how far apart two rates may be to count as equal."""

import math

MOST_MARGIN = 0.5
"""A policy that fails wherever another one succeeds half of the time would be not worse by more than that."""
Z_95 = 1.959963984540054


def compute_success_interval(successes: float, trials: int) -> tuple[float, float]:
    """Return Wilson's 95 % confidence interval of a success rate, sound for few trials and for rates of 0 and 1."""
    rate = successes / trials
    square = Z_95**2 / trials
    middle = (rate + square / 2) / (1 + square)
    margin = Z_95 * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials)) / (1 + square)
    low = 0.0 if successes == 0 else middle - margin
    high = 1.0 if successes == trials else middle + margin
    return low, high
