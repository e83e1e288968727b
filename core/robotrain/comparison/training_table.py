"""A comparison of methods by several trainings of each, as the object of `comparison.json`."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from robotrain_runtime.comparison import record
from robotrain_runtime.comparison.decision import ComparisonPlan, PairVerdict, plan_pairs
from robotrain_runtime.comparison.observations import Observation

from robotrain.comparison.table import ComparedSide, list_pairs
from robotrain.comparison.trainings import FEWEST, TrainingVerdict, compare_trainings, compute_training_means

METHODS = {"permutation": "exact permutation", "welch": "Welch, assumes normality"}


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
    each = replace(plan, confidence=1 - (1 - plan.confidence) / len(pairs))
    means = [compute_training_means(episodes, side.side, plan.measure) for side in sides]
    verdicts = [compare_trainings([*means[first].values()], [*means[second].values()], each) for first, second in pairs]
    facts = [{**side.facts, "trainings": [*training_means]} for side, training_means in zip(sides, means, strict=True)]
    made = record.make_comparison_record(
        plan, plan_pairs(plan), facts, (), (), conditions=conditions, ended="given", notes=_list_notes(verdicts)
    )
    labels = [str(side.facts["label"]) for side in sides]
    rows: list[dict[str, Any]] = [
        {
            **dict.fromkeys(field.name for field in fields(PairVerdict)),
            "first": first,
            "second": second,
            "verdict": verdict.verdict,
            "difference": verdict.difference,
            "low": verdict.low,
            "high": verdict.high,
            "p_value": verdict.p_value,
            "withheld": verdict.withheld,
            "method": verdict.method,
            "assumes_normality": verdict.assumes_normality,
            "means": [[*verdict.first], [*verdict.second]],
            "sentence": describe_trainings(verdict, labels[first], labels[second], plan),
        }
        for verdict, (first, second) in zip(verdicts, pairs, strict=True)
    ]
    title = "; ".join(row["sentence"] for row in rows)
    gate = record.make_gate(plan, [verdict.verdict for verdict in verdicts], title)
    return {**made, "at_most": None, "fixed": None, "verdicts": rows, "title": title, "gate": gate}


def describe_trainings(verdict: TrainingVerdict, first: str, second: str, plan: ComparisonPlan) -> str:
    """Return e.g. `A is better than B by 20 points (4 to 36), 4 trainings of each, p = 0.029 (exact permutation)`."""
    counts = (len(verdict.first), len(verdict.second))
    trained = f"{counts[0]} trainings of each" if counts[0] == counts[1] else f"{counts[0]} and {counts[1]} trainings"
    sign = -1 if verdict.verdict == "worse" and plan.margin is None else 1
    value = record.format_size(sign * verdict.difference, plan)
    if verdict.low is not None and verdict.high is not None:
        low, high = sorted((sign * verdict.low, sign * verdict.high))
        value += f" ({record.format_number(low, plan)} to {record.format_number(high, plan)})"
    evidence = ", ".join(
        [
            value,
            trained,
            *([f"p = {verdict.p_value:.2g} ({METHODS[verdict.method]})"] if verdict.p_value is not None else []),
        ]
    )
    evidence += record.format_confidence(plan)
    if verdict.verdict in ("better", "worse") and plan.margin is None:
        better, worse = (first, second)[::sign]
        return f"{better} is better than {worse} by {evidence}"
    answer = f"{record.describe_answer(verdict.verdict, first, second, plan)}: the difference is {evidence}"
    return f"{answer}; {record.WITHHELD[verdict.withheld]}" if verdict.withheld else answer


def _list_notes(verdicts: Sequence[TrainingVerdict]) -> list[str]:
    fewest = min(min(len(verdict.first), len(verdict.second)) for verdict in verdicts)
    notes = [f"all {len(verdicts)} pairs together have the confidence (Bonferroni)"] if len(verdicts) > 1 else []
    if fewest == 1:
        notes.append("one training says nothing about the next: at least two of each are needed")
    elif any(verdict.assumes_normality for verdict in verdicts):
        exact = f"; from {FEWEST} of each on it is exact" if fewest < FEWEST else ""
        notes.append(f"the interval assumes that trainings are distributed normally{exact}")
    return notes
