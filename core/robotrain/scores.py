"""What an evaluation found, in words: the same wherever it is told."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robotrain_runtime.event import Evaluated, Registered

RATE, LOW, HIGH = "rollout/success_rate", "rollout/success_rate_low", "rollout/success_rate_high"
REWARD, ROLLED = "rollout/avg_max_reward", "rollout/episodes"
REPLAY = "replay/"
SQUARED, ABSOLUTE, LATENCY = "replay/mse", "replay/mae", "replay/latency_p95_ms"
TOLD = (("greatest reward, mean", REWARD, ""), ("mse", SQUARED, ""), ("mae", ABSOLUTE, ""), ("p95", LATENCY, " ms"))
"""In words: name, score, unit."""
MOST = 2**53
LARGE = 10**7
SHOWN = 6
"""Of scores that have names of their own."""


def said(evaluated: Evaluated) -> str:
    """`success 17 of 20, 85% (64-95%)  greatest reward, mean 0.93  mse 0.41  p95 1.9 ms`: what is known of it."""
    return "  ".join(f"{name} {text}" for name, text in pairs(evaluated))


def in_full(evaluated: Evaluated) -> str:
    """The same, and under which conditions it holds: `success 17 of 20, 85%  (pusht, easy starts, 80 steps)`."""
    within = conditions(evaluated)
    return "  ".join(filter(None, (said(evaluated), f"({within})" if within else "")))


def conditions(evaluated: Evaluated) -> str:
    """`pusht, easy starts, 80 steps; 5 held-out episodes of pusht-mini`; empty where nobody said."""
    if not evaluated.conditions:
        return ""
    from robotrain.redaction import told

    return told(evaluated.conditions)


def of_rollouts(evaluated: Evaluated) -> str:
    """The conditions of the success rate alone: those of a replay stand behind them."""
    return conditions(evaluated).partition("; ")[0]


def pairs(evaluated: Evaluated) -> list[tuple[str, str]]:
    """The same, each with its name."""
    return list(_pairs(evaluated)) or list(_others(evaluated))


def brief(scores: Mapping[str, float]) -> str:
    """The one score that matters most: `85%`, else `mse 0.41`; empty for none."""
    rate, error = share(scores, RATE), number(scores, SQUARED)
    return f"{rate:.0%}" if rate is not None else f"mse {few(error)}" if error is not None else ""


def success(evaluated: Evaluated) -> str:
    """`17 of 20, 85% (64-95%)`; empty where nothing was tried."""
    rate = share(evaluated.scores, RATE)
    if rate is None:
        return ""
    of, within = counted(evaluated), interval(evaluated)
    return (f"{of}, " if of else "") + f"{rate:.0%}" + (f" ({within})" if within else "")


def counted(evaluated: Evaluated) -> str:
    """`17 of 20`; empty where it is not known."""
    known = successes(evaluated)
    return f"{known[0]} of {known[1]}" if known else ""


def successes(evaluated: Evaluated) -> tuple[int, int] | None:
    """How many episodes succeeded, of how many; None where it is not known."""
    rate, tried = share(evaluated.scores, RATE), number(evaluated.scores, ROLLED)
    if tried is None and not any(name.startswith(REPLAY) for name in evaluated.scores):
        tried = evaluated.episodes
    return (round(rate * tried), round(tried)) if rate is not None and tried and 0 < tried < MOST else None


def interval(evaluated: Evaluated) -> str:
    """`64-95%`; empty where it is not known."""
    low, high = share(evaluated.scores, LOW), share(evaluated.scores, HIGH)
    return "" if low is None or high is None else f"{low * 100:.0f}-{high * 100:.0f}%"


def was_there(registered: Registered) -> str:
    """`was there already; scores of RUN replaced`; empty for a new version."""
    from robotrain.redaction import told

    if registered.new:
        return ""
    return "was there already" + (f"; scores of {told(registered.replaced)} replaced" if registered.replaced else "")


def number(scores: Mapping[str, float], name: str) -> float | None:
    """A score that is a number."""
    value = scores.get(name)
    return value if value is not None and math.isfinite(value) else None


def few(value: float, digits: int = 3) -> str:
    """In so many digits that count; one of thousands in full, as nobody reads powers of ten: `0.41`, `1.9`, `13700`."""
    return f"{float(f'{value:.{digits}g}'):.0f}" if 10**digits <= abs(value) < LARGE else f"{value:.{digits}g}"


def share(scores: Mapping[str, float], name: str) -> float | None:
    """A score that is a part of all."""
    value = number(scores, name)
    return value if value is not None and 0 <= value <= 1 else None


def _pairs(evaluated: Evaluated) -> Iterator[tuple[str, str]]:
    if text := success(evaluated):
        yield "success", text
    for name, score, unit in TOLD:
        if (value := number(evaluated.scores, score)) is not None:
            yield name, f"{few(value)}{unit}"


def _others(evaluated: Evaluated) -> Iterator[tuple[str, str]]:
    """Scores under names of somebody else."""
    from robotrain.redaction import told

    finite = [(name, value) for name, value in evaluated.scores.items() if math.isfinite(value)]
    yield from ((told(name), few(value, 4)) for name, value in finite[:SHOWN])
