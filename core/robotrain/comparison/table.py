"""A comparison of all pairs of policies, from a table of episodes that were played before."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from robotrain_runtime.comparison import record
from robotrain_runtime.comparison.decision import (
    ComparisonPlan,
    PairVerdict,
    PlannedPairs,
    compare,
    plan_pairs,
)
from robotrain_runtime.comparison.observations import (
    Measure,
    Observation,
    Pairing,
    Side,
    pair_sides,
    shuffle_pairs,
)
from robotrain_runtime.comparison.rates import compute_success_interval

SMALLER = 0.5
"""Which part of the planned difference is named where that one would have been found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSide:
    """A policy, or a policy under one of several conditions."""

    side: Side
    facts: Mapping[str, Any]
    """What is known of it, by `record.POLICY_KEYS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is known of the policies of a table."""

    plan: ComparisonPlan
    planned: PlannedPairs
    sides: Sequence[ComparedSide]
    pairs: Sequence[tuple[int, int]]
    """Of each verdict, its two sides."""
    verdicts: Sequence[PairVerdict]
    notes: Sequence[str]


def choose_measure(episodes: Sequence[Observation]) -> Measure | None:
    """Return what is compared: success where every episode has it, else the score; None if some have neither."""
    if all(one.success is not None for one in episodes):
        return "success"
    scores = [one.score for one in episodes]
    if any(score is None for score in scores):
        return None
    return "score" if all(0 <= score <= 1 for score in scores if score is not None) else "sign"


def compare_sides(
    episodes: Sequence[Observation],
    sides: Sequence[ComparedSide],
    plan: ComparisonPlan,
    references: Sequence[int] | None = None,
) -> Comparison:
    """Return what the episodes say about each pair of sides, whatever their order is.

    :param plan: what is asked; the number of pairs is that of the table.
    :param references: the sides that each other one is compared with; None: all pairs.
    """
    pairs = list_pairs(len(sides), references)
    rows = [{row for row, one in enumerate(episodes) if compared.side.has(one)} for compared in sides]
    pairings = [
        pair_sides([episodes[row] for row in sorted(rows[one] | rows[other])], sides[one].side, sides[other].side)
        for one, other in pairs
    ]
    pairings = [replace(one, pairs=shuffle_pairs(one.pairs, plan.block)) for one in pairings]
    planned = plan_pairs(plan, len(pairs))
    least = min(len(one.pairs) for one in pairings)
    given = replace(plan, at_most=max(1, least))
    verdicts = compare(pairings, given)
    return Comparison(
        plan=given,
        planned=planned,
        sides=sides,
        pairs=pairs,
        verdicts=verdicts,
        notes=[*_list_notes(verdicts, pairings, plan)],
    )


def list_pairs(sides: int, references: Sequence[int] | None) -> list[tuple[int, int]]:
    """Return which sides are compared: each other one with each reference; without references, all pairs."""
    if references is None:
        return [*itertools.combinations(range(sides), 2)]
    return [(at, other) for other in references for at in range(sides) if at not in references]


def describe_side(episodes: Sequence[Observation], side: Side) -> dict[str, Any]:
    """Return the number of episodes of a side, its success with the interval, and its mean score."""
    own = [one for one in episodes if side.has(one)]
    known = [one.success for one in own if one.success is not None]
    scores = [one.score for one in own if one.score is not None]
    is_judged = bool(own) and len(known) == len(own)
    return {
        "label": f"{side.policy} ({side.condition})" if side.condition else side.policy,
        "name": side.policy,
        "condition": side.condition,
        "episodes": len(own),
        "trials": len(own),
        "successes": sum(known) if is_judged else None,
        "success_rate": sum(known) / len(known) if is_judged else None,
        "success_interval": [*compute_success_interval(sum(known), len(known))] if is_judged else None,
        "score": fmean(scores) if scores and len(scores) == len(own) else None,
    }


def dump_comparison(compared: Comparison, conditions: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the object that `compare --json` prints, that of `comparison.json`."""
    return record.make_comparison_record(
        compared.plan,
        compared.planned,
        [one.facts for one in compared.sides],
        compared.verdicts,
        compared.pairs,
        conditions=conditions,
        ended="given",
        notes=compared.notes,
    )


def _list_notes(verdicts: Sequence[PairVerdict], pairings: Sequence[Pairing], plan: ComparisonPlan) -> Iterator[str]:
    """Yield what limits the answer, and how many more episodes it may take."""
    pairs = min(one.pairs for one in verdicts)
    left = [(one.first.policy, one.second.policy, one.only_first, one.only_second) for one in pairings]
    alone = [
        f"{len(only_first)} of {first} and {len(only_second)} of {second}" if len(left) > 1 else ""
        for first, second, only_first, only_second in left
        if only_first or only_second
    ]
    if alone:
        unmatched = sum(one.unmatched for one in verdicts)
        of = f": {'; '.join(alone)}" if all(alone) else ""
        verb = "does" if unmatched == 1 else "do"
        yield f"{unmatched} episode{'s' * (unmatched != 1)} without a partner from the same start {verb} not count{of}"
    if len(verdicts) > 1:
        yield f"{plan.confidence:.0%} holds for all {len(verdicts)} pairs together (Holm)"
    if any(one.verdict in ("not decided", "continue") for one in verdicts):
        yield from list_needs(pairs, plan, len(verdicts))


def list_needs(pairs: int, plan: ComparisonPlan, comparisons: int) -> Iterator[str]:
    """Yield how many more episodes it may take to decide."""
    planned = plan_pairs(plan, comparisons)
    if pairs < planned.fewest:
        yield f"fewer than {planned.fewest} pairs can decide nothing, even if one policy wins each of them"
    if plan.margin is not None or plan.equal_within is not None:
        if planned.at_most > pairs:
            yield f"up to {planned.at_most - pairs} more episodes of each may decide it, if the policies are equal"
        return
    size, most = plan.detect, planned.at_most
    if most <= pairs:
        size = plan.detect * SMALLER
        most = plan_pairs(replace(plan, detect=size), comparisons).at_most
    if most > pairs:
        yield f"a difference of {100 * size:.3g} points may take up to {most - pairs} more episodes of each"
    else:
        yield f"a difference of {100 * size:.3g} points would probably have been found"
