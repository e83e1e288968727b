"""A comparison of methods by several trainings of each, as the object of `comparison.json`."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from robotrain_runtime.comparison import record
from robotrain_runtime.comparison.decision import ComparisonPlan, PairVerdict, plan_pairs
from robotrain_runtime.comparison.observations import Observation

from robotrain.comparison.table import ComparedSide, list_pairs
from robotrain.comparison.trainings import (
    FEWEST,
    TrainingVerdict,
    compare_trainings,
    compute_training_means,
    is_counted,
)


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
            "first": first_index,
            "second": second_index,
            "verdict": verdict.verdict,
            "difference": verdict.difference,
            "low": verdict.low,
            "high": verdict.high,
            "p_value": verdict.p_value,
            "withheld": verdict.withheld,
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
