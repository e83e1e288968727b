"""A comparison of all pairs of policies, from a table of episodes that were played before."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal, get_args

from robotrain_runtime.comparison import record
from robotrain_runtime.comparison.decision import (
    POWER,
    ComparisonPlan,
    PairVerdict,
    PlannedPairs,
    compare,
    name_side,
    plan_pairs,
)
from robotrain_runtime.comparison.observations import (
    Measure,
    Observation,
    Pairing,
    Side,
    count_missing_as_failures,
    pair_sides,
    pool_pairs,
    pool_repetitions,
)
from robotrain_runtime.comparison.power import compute_power
from robotrain_runtime.comparison.rates import compute_success_interval

Missing = Literal["drop", "failure"]
"""What a start is that only one of two policies has: no pair, or a failure of the other policy."""
SMALLER = 0.5
"""Which part of the planned difference is named where that one would have been found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSide:
    """A policy, or a policy under one of several conditions."""

    side: Side
    facts: Mapping[str, Any]
    """What is known of it, by `record.POLICY_KEYS`."""
    is_complete: bool = False
    """Whether each episode that was planned is there: another start was not asked of it."""


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
    if all(episode.success is not None for episode in episodes):
        return "success"
    scores = [episode.score for episode in episodes]
    if any(score is None for score in scores):
        return None
    return "score" if all(0 <= score <= 1 for score in scores if score is not None) else "sign"


def compare_sides(
    episodes: Sequence[Observation],
    sides: Sequence[ComparedSide],
    plan: ComparisonPlan,
    references: Sequence[int] | None = None,
    missing_rule: Missing | None = None,
) -> Comparison:
    """Return what the episodes say about each pair of sides, whatever their order is.

    :param plan: what is asked; the number of pairs is that of the table.
    :param references: the sides that each other one is compared with; None: all pairs.
    :param missing_rule: what the starts are that only one side has; None: a verdict that depends on it is withheld.
    """
    pairs = list_pairs(len(sides), references)
    rows = [{row for row, episode in enumerate(episodes) if compared_side.side.has(episode)} for compared_side in sides]
    pairings = [
        pair_sides(
            [episodes[row] for row in sorted(rows[first_index] | rows[other_index])],
            sides[first_index].side,
            sides[other_index].side,
        )
        for first_index, other_index in pairs
    ]
    notes = [*_list_measured(episodes, sides, plan), *_list_unpaired(pairings, missing_rule)]
    filled_pairings = [
        count_missing_as_failures(
            pairing,
            of_first=missing_rule == "failure" or not sides[first_index].is_complete,
            of_second=missing_rule == "failure" or not sides[second_index].is_complete,
        )
        for pairing, (first_index, second_index) in zip(pairings, pairs, strict=True)
    ]
    planned = plan_pairs(plan, len(pairs))
    filled_pairings = [pool_pairs(pairing) for pairing in filled_pairings]
    pairings = filled_pairings if missing_rule == "failure" else [pool_pairs(pairing) for pairing in pairings]
    fewest_pairs = min(len(pairing.pairs) for pairing in pairings)
    bounded_plan = replace(plan, at_most=max(1, fewest_pairs), looks_once=True)
    verdicts = compare(pairings, bounded_plan)
    if missing_rule is None and filled_pairings != pairings:
        verdicts, missing_notes = _withhold_missing(verdicts, compare(filled_pairings, bounded_plan), bounded_plan)
        notes += missing_notes
    return Comparison(
        plan=bounded_plan,
        planned=planned,
        sides=sides,
        pairs=pairs,
        verdicts=verdicts,
        notes=[*notes, *_list_notes(verdicts, replace(plan, looks_once=True))],
    )


def _withhold_missing(
    verdicts: Sequence[PairVerdict], filled: Sequence[PairVerdict], plan: ComparisonPlan
) -> tuple[list[PairVerdict], list[str]]:
    """Return the verdicts without those that `filled`, with missing episodes as failures, does not have; and notes."""
    final_verdicts = list[PairVerdict]()
    notes = list[str]()
    for plain_verdict, filled_verdict in zip(verdicts, filled, strict=True):
        if plain_verdict.pairs and plain_verdict.verdict != filled_verdict.verdict:
            final_verdicts.append(replace(plain_verdict, verdict="not decided", withheld="missing"))
            notes.append(f"left out: {record.describe_verdict(plain_verdict, plan)}")
            notes.append(f"counted as failures: {record.describe_verdict(filled_verdict, plan)}")
        else:
            final_verdicts.append(plain_verdict)
    if notes:
        notes.append(f"`robotrain compare --missing {'|'.join(get_args(Missing))}` says which is meant")
    return final_verdicts, notes


def list_pairs(sides: int, references: Sequence[int] | None) -> list[tuple[int, int]]:
    """Return which sides are compared: each other one with each reference; without references, all pairs."""
    if references is None:
        return [*itertools.combinations(range(sides), 2)]
    return [(side, reference) for reference in references for side in range(sides) if side not in references]


def describe_side(episodes: Sequence[Observation], side: Side) -> dict[str, Any]:
    """Return the number of episodes of a side, its success with the interval, and its mean score."""
    played = [episode for episode in episodes if side.has(episode)]
    trials = pool_repetitions(played)
    successes = [episode.success for episode in trials if episode.success is not None]
    scores = [episode.score for episode in trials if episode.score is not None]
    is_judged = bool(trials) and len(successes) == len(trials)
    return {
        "label": f"{side.policy} ({side.condition})" if side.condition else side.policy,
        "name": side.policy,
        "condition": side.condition,
        "episodes": len(played),
        "trials": len(trials),
        "successes": sum(successes) if is_judged else None,
        "success_rate": sum(successes) / len(successes) if is_judged else None,
        "success_interval": [*compute_success_interval(sum(successes), len(successes))] if is_judged else None,
        "score": fmean(scores) if scores and len(scores) == len(trials) else None,
    }


def dump_comparison(comparison: Comparison, conditions: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the object that `compare --json` prints, that of `comparison.json`."""
    return record.make_comparison_record(
        comparison.plan,
        comparison.planned,
        [side.facts for side in comparison.sides],
        comparison.verdicts,
        comparison.pairs,
        conditions=conditions,
        ending="given",
        notes=comparison.notes,
    )


def _list_measured(
    episodes: Sequence[Observation], sides: Sequence[ComparedSide], plan: ComparisonPlan
) -> Iterator[str]:
    """Yield what counts as one, and why scores from 0 to 1 are compared without their size."""
    compared_episodes = [episode for episode in episodes if any(side.side.has(episode) for side in sides)]
    if repetitions := sum(bool(episode.repetition) for episode in compared_episodes):
        starts = len({episode.start for episode in compared_episodes if episode.repetition})
        example = next(episode for episode in compared_episodes if episode.repetition)
        yield (
            f"{repetitions} episodes are repetitions of {starts} start{'s' * (starts != 1)}, such as"
            f" {example.start}-{example.repetition} of {example.start}: those of a start count as one"
        )
    outliers = [episode for episode in compared_episodes if episode.score is not None and not 0 <= episode.score <= 1]
    if plan.measure == "sign" and len(outliers) < len(compared_episodes):
        outlier = outliers[0]
        yield (
            f"only which score is higher counts, because {len(outliers)} of {len(compared_episodes)} scores are not "
            "between"
            f" 0 and 1, such as {outlier.score:g} of {outlier.policy} at start {outlier.start}"
        )


def _list_unpaired(pairings: Sequence[Pairing], missing_rule: Missing | None) -> Iterator[str]:
    """Yield how many episodes of which policy have no partner, and what they count for."""
    sides = [
        [
            f"{len(unpaired_episodes)} of {name_side(pairing, number)}"
            for number, unpaired_episodes in enumerate((pairing.only_first, pairing.only_second))
            if unpaired_episodes
        ]
        for pairing in pairings
    ]
    unpaired_count = sum(len(pairing.only_first) + len(pairing.only_second) for pairing in pairings)
    if unpaired_count:
        episodes = f"{unpaired_count} episode{'s' * (unpaired_count != 1)} without a partner from the same start"
        verb = "does" if unpaired_count == 1 else "do"
        count_text = "count against the other policy" if missing_rule == "failure" else f"{verb} not count"
        yield f"{episodes} {count_text}: {'; '.join(' and '.join(parts) for parts in sides if parts)}"


def _list_notes(verdicts: Sequence[PairVerdict], plan: ComparisonPlan) -> Iterator[str]:
    """Yield what limits the answer, and how many more episodes it may take."""
    if len(verdicts) > 1:
        yield f"intervals and p-values hold for all {len(verdicts)} pairs of policies together (Holm's correction)"
    undecided_verdicts = [verdict for verdict in verdicts if verdict.verdict in ("not decided", "continue")]
    if any(not verdict.withheld for verdict in undecided_verdicts):
        pair_count = min(verdict.pairs for verdict in verdicts)
        yield from list_needs(
            pair_count, max(verdict.discordance for verdict in undecided_verdicts), plan, len(verdicts)
        )


def list_needs(pair_count: int, discordance: float, plan: ComparisonPlan, comparisons: int) -> Iterator[str]:
    """Yield what so many pairs would have found, and how many more episodes it may take to decide.

    :param discordance: the mean squared difference of the pairs that were seen; of too few it does not count.
    """
    min_pairs = plan_pairs(plan, comparisons).fewest
    if pair_count < min_pairs:
        yield f"fewer than {min_pairs} pairs can decide nothing, even if one policy wins each of them"
    planned = plan_pairs(plan, comparisons, discordance if pair_count >= min_pairs else None)
    if plan.margin is not None or plan.equal_within is not None:
        if planned.at_most > pair_count:
            yield f"up to {planned.at_most - pair_count} more episodes of each may decide it, if the policies are equal"
        return
    size, max_pairs = plan.detect, planned.at_most
    if pair_count >= min_pairs:
        power = compute_power(plan, pair_count, discordance, comparisons)
        found_text = f"a difference of {format_points(size)} is found with a probability of {format_share(power)}"
        yield f"with {pair_count} pairs, {found_text} where {describe_discordance(discordance, plan)}"
        if power >= POWER or max_pairs <= pair_count:
            size = plan.detect * SMALLER
            max_pairs = plan_pairs(replace(plan, detect=size), comparisons, discordance).at_most
    if max_pairs > pair_count:
        more_count = max_pairs - pair_count
        yield f"finding a difference of {format_points(size)} may take up to {more_count} more episodes of each"


def describe_discordance(discordance: float, plan: ComparisonPlan) -> str:
    """Return how many pairs differ, as they were seen to; a difference is at least as frequent as it is large."""
    if plan.measure == "score":
        return "scores differ as much as here"
    if discordance < plan.detect:
        return f"{plan.detect:.0%} of pairs differ (here {discordance:.0%})"
    return f"{discordance:.0%} of pairs differ, as here"


def format_points(share: float) -> str:
    """Return a difference of rates in points."""
    return f"{100 * share:.3g} points"


def format_share(share: float) -> str:
    """Return a probability in percent, without calling one certain that is not."""
    return "more than 99%" if 0.99 < share < 1 else f"{share:.0%}"
