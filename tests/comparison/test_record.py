"""The sentences of a comparison, and the object of `comparison.json`."""

from dataclasses import replace

import pytest
from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.comparison import record
from robotrain_runtime.comparison.decision import ComparisonPlan, compare, plan_pairs
from robotrain_runtime.comparison.observations import Observation, Side, pair_sides
from robotrain_runtime.contract.event import Evaluated

GRID = range(100)


def judge(first, second, plan):
    """The verdict about A, which succeeds at the starts of `first`, and B."""
    rows = [
        Observation(policy=name, start=str(start), success=start in successes, score=float(start in successes))
        for name, successes in (("A", first), ("B", second))
        for start in GRID
    ]
    pairing = pair_sides(rows, Side("A"), Side("B"))
    return compare([pairing], replace(plan, looks_once=True))


@pytest.mark.parametrize(
    ("first", "second", "options", "begins"),
    [
        (range(80), range(40), {}, "A is better than B by 40 points ("),
        (range(40), range(80), {}, "B is better than A by 40 points ("),
        (range(52), range(50), {}, "not decided after 100 pairs whether A or B is better: the difference is 2 "),
        (range(90), range(90), {"margin": 0.2}, "A is not worse than B by more than 20 points: the difference is 0 "),
        (range(20), range(90), {"margin": 0.2}, "A is worse than B by more than 20 points: the difference is -70 "),
        (range(90), range(90), {"equal_within": 0.2}, "A and B are equal within 20 points: the difference is 0 "),
        (range(50), range(52), {"equal_within": 0.01}, "not decided after 100 pairs whether A and B are equal "),
        (range(80), range(40), {"measure": "sign"}, "A is better than B, 40 to 0, 100 pairs, p < 0.001"),
        (range(80), range(40), {"measure": "score"}, "A is better than B by 0.4 (95% interval 0."),
    ],
)
def test_a_verdict_is_one_sentence(first, second, options, begins):
    plan = ComparisonPlan(at_most=100, **options)
    (verdict,) = judge(first, second, plan)
    assert record.describe_verdict(verdict, plan).startswith(begins)


def test_the_record_has_every_key_and_says_whether_the_gate_is_passed():
    plan = ComparisonPlan(at_most=100, margin=0.2)
    made = [
        record.make_comparison_record(
            plan,
            plan_pairs(plan),
            [{"name": "A", "sha256": "0" * 64}, {"name": "B"}],
            judge(first, range(90), plan),
            [(0, 1)],
            conditions={"text": "pusht"},
            ending="given",
        )
        for first in (range(90), range(20))
    ]
    assert [comparison["gate"]["passed"] for comparison in made] == [True, False]
    (good, bad) = made
    assert list(good["policies"][1]) == [*record.POLICY_KEYS]
    assert good["policies"][1]["sha256"] is None
    assert list(good["conditions"]) == [*record.CONDITION_KEYS]
    assert (good["verdicts"][0]["first"], good["verdicts"][0]["second"]) == (0, 1)
    assert bad["gate"]["sentence"] == bad["title"] == bad["verdicts"][0]["sentence"]


@pytest.mark.parametrize(
    ("first", "second", "options", "winner", "wins"),
    [
        (range(80), range(40), {}, "A", True),
        (range(40), range(80), {}, "B", False),
        (range(52), range(50), {}, "", False),
        (range(90), range(90), {"margin": 0.2}, "A", True),
        (range(20), range(90), {"margin": 0.2}, "B", False),
        (range(90), range(90), {"equal_within": 0.2}, "", False),
    ],
)
def test_the_short_answer_names_the_winner_and_a_registered_model_has_it(first, second, options, winner, wins):
    plan = ComparisonPlan(at_most=100, **options)
    policies = [{"name": "A"}, {"name": "B"}]
    verdicts = judge(first, second, plan)
    made = record.make_comparison_record(
        plan, plan_pairs(plan), policies, verdicts, [(0, 1)], conditions=None, ending="decided"
    )
    summary = record.summarize(made)
    assert (summary["winner"], summary["wins"], summary["pairs"]) == (winner, wins, 100)
    assert summary["answer"] == made["title"]
    evaluated = Evaluated(episodes=100, scores={"rate": 0.5}, results="", compared=summary)
    tags = model_lineage.make_score_tags(evaluated, "eval-1", {})
    assert (tags["compared_with"], tags["compared_pairs"]) == ("B", "100")
    assert tags.get("compared_margin") == (f"{options['margin']:g}" if "margin" in options else None)
    assert tags["compared_verdict"] == model_lineage.shorten_tag(made["title"])
