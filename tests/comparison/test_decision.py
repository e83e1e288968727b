"""What pairs decide: better, worse, equal, not worse, or nothing yet; of one comparison and of several."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robotrain_runtime.comparison.decision import ComparisonPlan, adjust_p_values, compare, plan_pairs
from robotrain_runtime.comparison.observations import Observation, Side, pair_sides
from robotrain_runtime.comparison.power import compute_power


def make_pairing(wins: int, losses: int = 0, ties: int = 0, *, names: str = "ab"):
    """Pairs in a fixed order in which wins, losses and ties take turns."""
    total = wins + losses + ties
    counts = enumerate((wins, losses, ties))
    turns = sorted(((number + 0.5) / count, result) for result, count in counts for number in range(count))
    table = []
    for start, (_, result) in enumerate(turns):
        successes = ((True, False), (False, True), (True, True))[result]
        table += [
            Observation(policy=name, start=str(start), success=success, score=200.0 * success - 100)
            for name, success in zip(names, successes, strict=True)
        ]
    pairing = pair_sides(table, Side(names[0]), Side(names[1]))
    assert len(pairing.pairs) == total
    return pairing


def judge(pairing, **options):
    return compare([pairing], ComparisonPlan(**options))[0]


@pytest.mark.parametrize(
    ("counts", "options", "verdict"),
    [
        ((20, 4, 20), {}, "better"),
        ((4, 20, 20), {}, "worse"),
        ((8, 6, 20), {}, "continue"),
        ((8, 6, 20), {"at_most": 34}, "not decided"),
        ((9, 0, 0), {}, "better"),
        ((8, 0, 0), {}, "continue"),
        ((0, 0, 0), {}, "continue"),
        ((0, 0, 100), {"equal_within": 0.1}, "equal"),
        ((6, 6, 38), {"equal_within": 0.1}, "continue"),
        ((18, 1, 81), {"equal_within": 0.1}, "continue"),
        ((18, 1, 81), {"equal_within": 0.1, "at_most": 100}, "better"),
        ((60, 0, 20), {"equal_within": 0.1}, "better"),
        ((0, 60, 20), {"equal_within": 0.1}, "worse"),
        ((10, 10, 180), {"margin": 0.1}, "not worse"),
        ((2, 20, 28), {"margin": 0.1}, "worse"),
        ((5, 9, 36), {"margin": 0.1}, "continue"),
        ((5, 9, 36), {"margin": 0.1, "at_most": 50}, "not decided"),
    ],
)
def test_verdicts(counts, options, verdict):
    assert judge(make_pairing(*counts), **options).verdict == verdict


def test_the_evidence_of_a_margin_is_that_of_its_question():
    pairing = make_pairing(10, 10, 180)
    verdict = judge(pairing, margin=0.1)
    assert (verdict.verdict, verdict.e_value >= 20, verdict.p_value == 1 / verdict.e_value) == ("not worse", True, True)
    assert judge(pairing).e_value < 20
    undecided = judge(make_pairing(5, 9, 36), margin=0.1)
    assert undecided.e_value < 20


@pytest.mark.parametrize(
    ("first", "second", "options", "verdict", "withheld"),
    [
        (0, 0, {"margin": 0.1}, "not decided", "floor"),
        (0, 2, {"margin": 0.1}, "not decided", "floor"),
        (0, 0, {"equal_within": 0.1}, "not decided", "floor"),
        (120, 120, {"margin": 0.1}, "not decided", "ceiling"),
        (120, 120, {"equal_within": 0.1}, "equal", None),
        (0, 0, {"margin": 0.1, "allow_floor": True}, "not worse", None),
        (40, 0, {"margin": 0.1}, "not worse", None),
        (120, 118, {"margin": 0.1}, "not worse", None),
        (0, 40, {"margin": 0.1}, "worse", None),
        (0, 0, {}, "not decided", None),
    ],
)
def test_where_no_start_tells_the_policies_apart_they_are_not_called_alike(first, second, options, verdict, withheld):
    table = [
        Observation(policy=name, start=str(start), success=start * 7 % 120 < count)
        for name, count in (("a", first), ("b", second))
        for start in range(120)
    ]
    actual = judge(pair_sides(table, Side("a"), Side("b")), at_most=120, **options)
    assert (actual.verdict, actual.withheld) == (verdict, withheld)


def test_a_verdict_counts_wins_losses_ties_and_episodes_without_their_pair():
    table = [Observation(policy="a", start=str(start), success=start < 6) for start in range(10)]
    table += [Observation(policy="b", start=str(start), success=start > 4) for start in range(8)]
    verdict = judge(pair_sides(table, Side("a"), Side("b")))
    assert (verdict.wins, verdict.losses, verdict.ties, verdict.pairs, verdict.unmatched) == (5, 2, 1, 8, 2)
    assert verdict.difference == pytest.approx(3 / 8)


def test_scores_without_bounds_have_evidence_and_no_interval():
    verdict = judge(make_pairing(20, 2), measure="sign")
    assert (verdict.verdict, verdict.difference, verdict.low, verdict.high) == ("better", None, None, None)
    assert verdict.e_value == judge(make_pairing(20, 2)).e_value


@given(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)))
def test_a_verdict_is_given_only_if_its_interval_holds_the_difference_that_was_seen(counts):
    verdict = judge(make_pairing(*counts), at_most=1)
    if verdict.difference is not None:
        is_inside = verdict.low <= verdict.difference <= verdict.high
        assert is_inside or (verdict.verdict, verdict.withheld) == ("not decided", "order")


@pytest.mark.parametrize(
    ("counts", "options", "would_be"),
    [((30, 30, 0), {}, "better"), ((14, 14, 60), {}, "better"), ((25, 35, 0), {"margin": 0.05}, "not worse")],
)
def test_wins_before_losses_are_no_verdict_and_looked_at_once_none_either(counts, options, would_be):
    """The pairs of a table that was sorted by success, and of a morning before an afternoon."""
    wins, losses, ties = counts
    pairing = make_pairing(*counts)
    order = sorted(pairing.pairs, key=lambda pair: pair.second.success - pair.first.success)
    sorted_by_success = replace(pairing, pairs=tuple(order))
    assert judge(replace(pairing, pairs=tuple(order[:wins]))).verdict == "better", "what the looks on the way found"
    verdict = judge(sorted_by_success, at_most=1, **options)
    assert (verdict.verdict, verdict.withheld, verdict.pairs) == ("not decided", "order", wins + losses + ties)
    assert judge(sorted_by_success, **options).verdict == "continue", "more pairs may decide it"
    once = judge(sorted_by_success, at_most=1, looks_once=True, **options)
    assert (once.verdict, once.withheld) == ("not decided", None)
    backwards = replace(pairing, pairs=sorted_by_success.pairs[::-1])
    again = judge(backwards, at_most=1, looks_once=True, **options)
    assert again.e_value == pytest.approx(once.e_value), "the same in any order, so a table may grow between looks"


def test_several_comparisons_share_the_confidence():
    pairing, other = make_pairing(9, names="ab"), make_pairing(4, 4, names="ac")
    assert judge(pairing).verdict == "better"
    both = compare([pairing, other], ComparisonPlan())
    assert [verdict.verdict for verdict in both] == ["continue", "continue"]
    assert both[0].low < judge(pairing).low
    assert both[0].p_value == pytest.approx(2 * judge(pairing).p_value)


def test_a_comparison_that_is_decided_leaves_its_confidence_to_the_others():
    clear, close = make_pairing(40, names="ab"), make_pairing(9, names="ac")
    both = compare([clear, close], ComparisonPlan())
    assert [verdict.verdict for verdict in both] == ["better", "better"]
    assert both[1].low >= 0


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        # statsmodels 0.14: multipletests(given, method="holm")
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.2, 0.9, 0.9], [0.6, 1.0, 1.0]),
        ([0.05], [0.05]),
    ],
)
def test_p_values_are_corrected_as_by_holm(p_values, adjusted):
    assert adjust_p_values(p_values) == pytest.approx(adjusted)


@pytest.mark.parametrize(
    ("options", "fixed", "at_most"),
    [
        ({}, 77, 116),
        ({"detect": 0.1}, 234, 351),
        ({"margin": 0.1}, 157, 314),
        ({"equal_within": 0.1}, 211, 422),
    ],
)
def test_the_pairs_that_may_be_needed_are_known_before(options, fixed, at_most):
    planned = plan_pairs(ComparisonPlan(**options))
    assert (planned.fixed, planned.at_most, planned.fewest) == (fixed, at_most, 9)


@pytest.mark.parametrize(("discordance", "power"), [(0.2, 0.9999), (0.4, 0.809), (0.6, 0.567), (1, 0.301)])
def test_power_depends_on_how_often_policies_differ(discordance, power):
    plan = ComparisonPlan()
    assert compute_power(plan, 116, discordance) == pytest.approx(power, abs=5e-4)
    assert compute_power(plan, 116, discordance, comparisons=3) < compute_power(plan, 116, discordance)


def test_fewer_pairs_than_decide_anything_have_no_power():
    assert compute_power(ComparisonPlan(detect=1), 8, 1) == 0
    assert compute_power(ComparisonPlan(detect=1), 9, 1) == pytest.approx(1)


def test_more_comparisons_need_more_pairs_each():
    assert plan_pairs(ComparisonPlan(), 3).at_most > plan_pairs(ComparisonPlan()).at_most


@given(st.floats(0.01, 1), st.floats(0.5, 0.9999), st.integers(1, 5))
def test_a_comparison_may_have_enough_pairs_to_decide_something(detect, confidence, comparisons):
    planned = plan_pairs(ComparisonPlan(detect=detect, confidence=confidence), comparisons)
    assert planned.fewest <= planned.at_most
    all_won = compare([make_pairing(planned.fewest)] * comparisons, ComparisonPlan(confidence=confidence))
    one_less = compare([make_pairing(planned.fewest - 1)] * comparisons, ComparisonPlan(confidence=confidence))
    assert (all_won[0].verdict, one_less[0].verdict) == ("better", "continue")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"confidence": 95}, "confidence is 95"),
        ({"detect": 0}, "detect is 0"),
        ({"margin": 10}, "margin is 10"),
        ({"at_most": 0}, "at most is 0"),
        ({"equal_within": 0.1, "margin": 0.1}, "ask one"),
        ({"measure": "sign", "margin": 0.1}, "no interval"),
        ({"allow_floor": True}, "without a margin"),
        ({"detect": math.nan}, "detect is nan"),
    ],
)
def test_what_cannot_be_asked_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        ComparisonPlan(**options)


def test_tasks_that_differ_are_looked_at_together():
    """Of two tasks one is always won and the other always lost: in the mean the policies are equal."""
    alternating = make_pairing(40, 40)
    assert judge(alternating, block=2).e_value <= 0.5, "no look saw a gain"
    assert judge(alternating).e_value > 0.5
    whole, cut = make_pairing(40, 40), make_pairing(40, 41)
    seen = judge(whole, block=2), judge(cut, block=2)
    assert [verdict.low for verdict in seen] == [seen[0].low] * 2, "a block that is not whole is not looked at"
