"""Whether success rates can be compared, and whether a difference between two of them means anything."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

MOST_PAIRS = 6
RARE = 0.05
"""A difference that chance makes so seldom is taken as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A success rate with its 95 % interval. conditions: under which it holds, empty where nobody said.

    done: by the seed of each episode, whether it succeeded; empty where nobody said.
    """

    run: str
    value: float
    low: float | None = None
    high: float | None = None
    conditions: str = ""
    done: Mapping[int, bool] = field(default_factory=dict)


def sentences(rates: Sequence[Rate]) -> Iterator[str]:
    """What has to be known before two rates are compared; nothing for less than two."""
    alike: dict[str, list[Rate]] = {}
    for rate in rates:
        alike.setdefault(rate.conditions, []).append(rate)
    if len(rates) < 2:
        return
    if len(alike) > 1:
        yield "These rates hold under different conditions, so they cannot be compared with each other:"
        yield from (f"{_names(group)}: {where or 'nobody said under which'}" for where, group in alike.items())
    elif "" in alike:
        yield "Nobody said under which conditions these rates hold: only with equal ones they can be compared."
    else:
        yield f"All of them: {rates[0].conditions}."
    for where, group in alike.items():
        pairs = itertools.islice(itertools.combinations(group, 2), MOST_PAIRS) if where else ()
        yield from (_difference(one, other) for one, other in pairs)


def _names(rates: Sequence[Rate]) -> str:
    return ", ".join(rate.run for rate in rates)


def _difference(one: Rate, other: Rate) -> str:
    """Of two under equal conditions: by their episodes where both had the same, else by their intervals."""
    if one.done and one.done.keys() == other.done.keys():
        return _paired(one, other)
    better, worse = sorted((one, other), key=lambda rate: -rate.value)
    if better.low is None or worse.high is None:
        return f"How sure the rates of {one.run} and {other.run} are is not known."
    if better.low <= worse.high:
        return f"The intervals of {one.run} and {other.run} overlap: their difference may be chance."
    return f"The intervals of {one.run} and {other.run} do not overlap: {better.run} is better."


def _paired(one: Rate, other: Rate) -> str:
    only_one = sum(done and not other.done[seed] for seed, done in one.done.items())
    only_other = sum(done and not one.done[seed] for seed, done in other.done.items())
    same = f"{one.run} and {other.run} had the same {len(one.done)} starts"
    if not only_one + only_other:
        return f"{same}, and both did the same ones."
    split = f"{one.run} did {only_one} that {other.run} did not, {other.run} did {only_other} that {one.run} did not"
    share = by_chance(only_one, only_other)
    chance = f"that {'is hardly' if share < RARE else 'may be'} chance (p {share:.2g} by the sign test)"
    return f"{same}: {split}; {chance}."


def by_chance(first: int, second: int) -> float:
    """How often two that are equally good differ so unevenly, or more so (exact sign test, both sides)."""
    of = first + second
    tail = sum(math.comb(of, at) for at in range(max(first, second), of + 1))
    return min(1.0, 2 * tail / math.pow(2, of))
