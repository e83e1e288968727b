"""Several trainings of two policies: exact from four a side, equal to scipy; fewer decide nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robotrain.comparison.trainings import compare_trainings, compute_training_means
from robotrain_runtime.comparison.decision import ComparisonPlan
from robotrain_runtime.comparison.observations import Observation, Side

PLAN = ComparisonPlan()
RATES = st.lists(st.integers(0, 20).map(lambda count: count / 20), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("first", "second", "p_value"),
    [
        # scipy 1.17: permutation_test((first, second), difference of means, n_resamples=inf)
        ([0.7, 0.8, 0.75, 0.9], [0.5, 0.6, 0.4, 0.65], 0.02857142857142857),
        ([0.7, 0.8, 0.75, 0.9, 0.8], [0.5, 0.6, 0.4, 0.75], 0.047619047619047616),
        ([0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5], 1.0),
    ],
)
def test_four_trainings_a_side_are_compared_by_permutation(first, second, p_value):
    comparison = compare_trainings(first, second, PLAN)
    assert comparison.p_value == pytest.approx(p_value)
    assert comparison.verdict == ("better" if p_value < 0.05 else "not decided")


def test_the_interval_of_the_permutation_test_holds_the_shifts_that_it_does_not_refute():
    first, second = [0.7, 0.8, 0.75, 0.9, 0.8], [0.5, 0.6, 0.4, 0.75]
    comparison = compare_trainings(first, second, PLAN)
    for bound, inwards in ((comparison.low, 1e-6), (comparison.high, -1e-6)):
        for shift, is_refuted in ((bound + inwards, False), (bound - inwards, True)):
            moved = compare_trainings([value - shift for value in first], second, PLAN)
            assert (moved.p_value <= 0.05) == is_refuted


@pytest.mark.parametrize(("first", "second"), [([0.9], [0.1]), ([0.9, 0.8, 0.9], [0.1] * 8), ([1.0] * 13, [0.0] * 13)])
def test_few_or_too_many_trainings_decide_nothing(first, second):
    comparison = compare_trainings(first, second, PLAN)
    assert (comparison.verdict, comparison.low, comparison.high, comparison.p_value) == (
        "not decided",
        None,
        None,
        None,
    )


@given(RATES, RATES)
def test_exchanged_policies_have_the_mirrored_answer(first, second):
    comparison, other = compare_trainings(first, second, PLAN), compare_trainings(second, first, PLAN)
    mirrored = {"better": "worse", "worse": "better"}
    assert other.verdict == mirrored.get(comparison.verdict, comparison.verdict)
    assert other.difference == pytest.approx(-comparison.difference)
    if comparison.p_value is not None:
        assert other.p_value == pytest.approx(comparison.p_value)
    if comparison.low is not None:
        assert (other.low, other.high) == pytest.approx((-comparison.high, -comparison.low))
        assert comparison.low <= comparison.difference + 1e-9
        assert comparison.difference <= comparison.high + 1e-9


def test_trainings_answer_the_question_of_the_plan():
    first, second = [0.70, 0.71, 0.72, 0.73, 0.74], [0.71, 0.70, 0.73, 0.72, 0.74]
    assert compare_trainings(first, second, ComparisonPlan(equal_within=0.1)).verdict == "equal"
    assert compare_trainings(first, second, ComparisonPlan(margin=0.1)).verdict == "not worse"
    assert compare_trainings(first, second, ComparisonPlan(margin=0.01)).verdict == "not decided"


def test_trainings_that_never_succeed_are_not_called_equal_or_not_worse():
    never = [0.0] * 4
    for options in ({"margin": 0.1}, {"equal_within": 0.1}):
        comparison = compare_trainings(never, never, ComparisonPlan(**options))
        assert (comparison.verdict, comparison.withheld) == ("not decided", "floor")
        allowed = compare_trainings(never, never, ComparisonPlan(**options, allow_floor=True))
        assert (allowed.verdict, allowed.withheld) in (("not worse", None), ("equal", None))


def test_the_mean_of_each_training_is_over_its_episodes():
    table = [
        Observation(policy="a", start=str(start), success=start < limit, training=training)
        for training, limit in (("seed 1", 3), ("seed 2", 1))
        for start in range(4)
    ]
    table.append(Observation(policy="b", start="0", success=True, training="seed 1"))
    assert compute_training_means(table, Side("a"), "success") == {"seed 1": 0.75, "seed 2": 0.25}
