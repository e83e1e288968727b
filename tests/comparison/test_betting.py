"""Bounds by betting: valid at every look, the same for either side, and never wider than before."""

import copy
import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robotrain_runtime.comparison.betting import BETS, STEPS, Capital, ConfidenceSequence, LowerBound

DIFFERENCES = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]) | st.floats(-1, 1), max_size=60)
OUTCOMES = {
    "successes": {1.0: 0.2, 0.0: 0.6, -1.0: 0.2},
    "one policy is better": {1.0: 0.4, 0.0: 0.5, -1.0: 0.1},
    "scores": {0.75: 0.2, 0.0: 0.3, -0.3: 0.5},
}


def look(differences, confidence=0.95):
    sequence = ConfidenceSequence(confidence)
    for difference in differences:
        sequence.add(difference)
    return sequence


@pytest.mark.parametrize("outcomes", OUTCOMES.values(), ids=OUTCOMES)
def test_a_bet_against_the_true_mean_neither_wins_nor_loses_in_the_mean(outcomes):
    mean = sum(value * share for value, share in outcomes.items())
    expected = 0.0
    for course in itertools.product(outcomes, repeat=5):
        share = math.prod(outcomes[value] for value in course)
        expected += share * math.exp(Capital(mean, Counter(course)).logarithm)
    assert expected == pytest.approx(1)


@pytest.mark.parametrize("outcomes", OUTCOMES.values(), ids=OUTCOMES)
@pytest.mark.parametrize("error", [0.5, 0.2])
def test_the_bound_passes_the_true_mean_at_any_look_at_most_as_often_as_allowed(outcomes, error):
    mean = sum(value * share for value, share in outcomes.items())

    def compute_chance(bound, looks):
        """How often the bound is above the mean after so many more looks; it never falls again."""
        if bound.value > mean:
            return 1.0
        chance = 0.0
        for difference, share in outcomes.items() if looks else ():
            moved = copy.deepcopy(bound)
            moved.add(difference)
            chance += share * compute_chance(moved, looks - 1)
        return chance

    assert 0 < compute_chance(LowerBound(error), 7) <= error


def test_parts_of_the_first_capital_are_all_of_it_and_no_bet_can_lose_everything():
    assert sum(BETS.values()) == pytest.approx(1)
    assert all(0 < bet < 1 for bet in BETS)


@given(DIFFERENCES)
def test_exchanged_policies_have_the_mirrored_interval_and_the_same_evidence(differences):
    evidence, other = look(differences), look([-value for value in differences])
    assert (evidence.low, evidence.high, evidence.e_value) == (-other.high, -other.low, other.e_value)


@given(DIFFERENCES, DIFFERENCES)
def test_more_pairs_never_widen_the_interval_nor_lessen_the_evidence(differences, more):
    before, after = look(differences), look(differences + more)
    assert before.low <= after.low
    assert after.high <= before.high
    assert before.e_value <= after.e_value


@given(DIFFERENCES)
def test_zero_is_outside_the_interval_when_the_evidence_against_it_is_enough(differences):
    evidence = look(differences)
    is_refuted = evidence.e_value >= 1 / 0.05
    assert not is_refuted or evidence.low >= 0 or evidence.high <= 0
    assert is_refuted or (evidence.low <= 0 <= evidence.high)


@given(DIFFERENCES.filter(bool))
def test_the_bound_is_where_the_capital_is_enough(differences):
    bound = LowerBound(0.025)
    for difference in differences:
        bound.add(difference)
    above = Capital(bound.value + 1 / STEPS, Counter(differences))
    assert above.logarithm < -math.log(0.025) + 1e-9


def test_overwhelming_evidence_is_a_finite_number():
    assert math.isfinite(look([1.0] * 3000).e_value)
