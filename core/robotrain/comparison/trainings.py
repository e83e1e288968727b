"""A comparison of methods by several trainings of each, as the object of `comparison.json`.

The training is the unit, and their number is fixed beforehand: episodes of one training say nothing about the next;
what another seed of the training would give is only seen between trainings.
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from robotrain_runtime.comparison import record
from robotrain_runtime.comparison.decision import (
    ComparisonPlan,
    PairVerdict,
    Verdict,
    Withheld,
    decide,
    find_floor,
    plan_pairs,
)
from robotrain_runtime.comparison.observations import Measure, Observation, Side, get_value

from robotrain.comparison.table import ComparedSide, list_pairs

FEWEST = 4
"""Trainings a side from which splits are counted; of fewer, no split is rare enough."""
MOST_SPLITS = 3_000_000
"""How many are counted: those of twelve trainings a side."""
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingVerdict:
    """What is known of two policies from several trainings of each."""

    verdict: Verdict
    first: tuple[float, ...]
    """The mean of each training of the first."""
    second: tuple[float, ...]
    difference: float
    """The mean of the first minus that of the second."""
    low: float | None
    """The lower end of the interval of the difference; None if so few trainings do not have one."""
    high: float | None
    p_value: float | None
    withheld: Withheld | None = None
    """Why it is not decided although the interval would decide it."""


def compute_training_means(observations: Sequence[Observation], side: Side, measure: Measure) -> dict[str, float]:
    """Return the mean over the episodes of each training of a side. Raise ValueError for what is not measured."""
    values_by_training: dict[str, list[float]] = {}
    for observation in observations:
        if side.has(observation):
            values_by_training.setdefault(observation.training, []).append(get_value(observation, measure))
    return {training: statistics.fmean(training_values) for training, training_values in values_by_training.items()}


def is_counted(first_count: int, second_count: int) -> bool:
    """Return whether the splits of so many trainings a side say something, and are few enough to be counted."""
    return (
        min(first_count, second_count) >= FEWEST and math.comb(first_count + second_count, first_count) <= MOST_SPLITS
    )


def compare_trainings(first: Sequence[float], second: Sequence[float], plan: ComparisonPlan) -> TrainingVerdict:
    """Return what the means of trainings say, by the exact test; nothing is decided where splits are not counted.

    :param plan: its confidence and question; the numbers of pairs do not count.
    """
    lower_bound = upper_bound = p_value = None
    if is_counted(len(first), len(second)):
        lower_bound, upper_bound, p_value = _compute_permutation(first, second, plan.confidence)
    difference = statistics.fmean(first) - statistics.fmean(second)
    is_different = p_value is not None and p_value <= 1 - plan.confidence
    bounds = (-math.inf if lower_bound is None else lower_bound, math.inf if upper_bound is None else upper_bound)
    verdict = decide(*bounds, is_different, difference > 0, plan, is_last=True)
    withheld = None
    if verdict in ("not worse", "equal") and not (is_different and difference > 0):
        withheld = find_floor(first, second, plan)
    return TrainingVerdict(
        verdict="not decided" if withheld else verdict,
        withheld=withheld,
        first=tuple(first),
        second=tuple(second),
        difference=difference,
        low=lower_bound,
        high=upper_bound,
        p_value=p_value,
    )


def _compute_permutation(
    first_means: Sequence[float], second_means: Sequence[float], confidence: float
) -> tuple[float | None, float | None, float]:
    """Return the interval and the two-sided p-value of the exact test, in which one side is the other, shifted.

    Each other split of all trainings is at least as extreme as the given one for shifts on one side of a value: the
    mean of what it moves from the first side minus that of what it moves there.
    """
    all_means = [*first_means, *second_means]
    shifts = []
    for split in itertools.combinations(range(len(all_means)), len(first_means)):
        split_indexes = set(split)
        remaining_means = [all_means[index] for index in range(len(first_means)) if index not in split_indexes]
        joined_means = [all_means[index] for index in split if index >= len(first_means)]
        if remaining_means:
            shifts.append(statistics.fmean(remaining_means) - statistics.fmean(joined_means))
    shifts.sort()
    total = len(shifts) + 1
    sides = (sum(shift <= ROUNDING for shift in shifts), sum(shift >= -ROUNDING for shift in shifts))
    p_value = min(1.0, 2 * (min(sides) + 1) / total)
    rank = math.floor((1 - confidence) / 2 * total + ROUNDING)
    return (shifts[rank - 1], shifts[-rank], p_value) if rank else (None, None, p_value)


def has_trainings(episodes: Sequence[Observation]) -> bool:
    """Return whether a policy was trained several times."""
    trainings = {(episode.policy, episode.training) for episode in episodes}
    return len(trainings) > len({policy for policy, _ in trainings})


def dump_trainings(
    episodes: Sequence[Observation],
    sides: Sequence[ComparedSide],
    plan: ComparisonPlan,
    references: Sequence[int] | None,
    conditions: Any,
) -> dict[str, Any]:
    """Return what the trainings of each pair of sides say. Raise ValueError for an episode without what is measured.

    The confidence is that of all pairs together (Bonferroni).
    """
    pairs = list_pairs(len(sides), references)
    pair_plan = replace(plan, confidence=1 - (1 - plan.confidence) / len(pairs))
    means = [compute_training_means(episodes, side.side, plan.measure) for side in sides]
    verdicts = [
        compare_trainings([*means[first_index].values()], [*means[second_index].values()], pair_plan)
        for first_index, second_index in pairs
    ]
    facts = [{**side.facts, "trainings": [*training_means]} for side, training_means in zip(sides, means, strict=True)]
    comparison_record = record.make_comparison_record(
        plan, plan_pairs(plan), facts, (), (), conditions=conditions, ending="given", notes=_list_notes(verdicts)
    )
    labels = [str(side.facts["label"]) for side in sides]
    rows: list[dict[str, Any]] = [
        {
            **dict.fromkeys(field.name for field in fields(PairVerdict)),
            **asdict(verdict),
            "first": first_index,
            "second": second_index,
            "means": [[*verdict.first], [*verdict.second]],
            "sentence": describe_trainings(verdict, labels[first_index], labels[second_index], plan),
        }
        for verdict, (first_index, second_index) in zip(verdicts, pairs, strict=True)
    ]
    title = "; ".join(row["sentence"] for row in rows)
    gate = record.make_gate(plan, [verdict.verdict for verdict in verdicts], title)
    return {**comparison_record, "at_most": None, "fixed": None, "verdicts": rows, "title": title, "gate": gate}


def describe_trainings(verdict: TrainingVerdict, first_label: str, second_label: str, plan: ComparisonPlan) -> str:
    """Return e.g. `A is better than B by 20 points (95% interval 4 to 36), 4 trainings of each, p = 0.029 (exact
    permutation)`.
    """
    training_counts = (len(verdict.first), len(verdict.second))
    trained = (
        f"{training_counts[0]} trainings of each"
        if training_counts[0] == training_counts[1]
        else f"{training_counts[0]} and {training_counts[1]} trainings"
    )
    sign = -1 if verdict.verdict == "worse" and plan.margin is None else 1
    difference_text = record.format_size(sign * verdict.difference, plan)
    if verdict.low is not None and verdict.high is not None:
        lower_bound, upper_bound = sorted((sign * verdict.low, sign * verdict.high))
        difference_text += f" ({record.format_interval(lower_bound, upper_bound, plan)})"
    evidence = ", ".join(
        [
            difference_text,
            trained,
            *([f"{record.format_p_value(verdict.p_value)} (exact permutation)"] if verdict.p_value is not None else []),
        ]
    )
    evidence += record.format_confidence(plan)
    if verdict.verdict in ("better", "worse") and plan.margin is None:
        better, worse = (first_label, second_label)[::sign]
        return f"{better} is better than {worse} by {evidence}"
    answer = f"{record.describe_answer(verdict.verdict, first_label, second_label, plan)}: the difference is {evidence}"
    return f"{answer}; {record.WITHHELD[verdict.withheld]}" if verdict.withheld else answer


def _list_notes(verdicts: Sequence[TrainingVerdict]) -> list[str]:
    notes = [f"all {len(verdicts)} pairs together have the confidence (Bonferroni)"] if len(verdicts) > 1 else []
    if not all(is_counted(len(verdict.first), len(verdict.second)) for verdict in verdicts):
        notes.append(f"a difference is tested from {FEWEST} trainings of each on, up to twelve of each")
    return notes
