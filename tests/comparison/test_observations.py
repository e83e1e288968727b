"""The table of episodes: pairs of the same start, and what has no pair."""

import pytest
from robotrain_runtime.comparison.observations import (
    Observation,
    Side,
    compute_difference,
    find_repeated,
    pair_sides,
)


def episode(policy: str, start: str, success: bool = True, **more) -> Observation:
    return Observation(policy=policy, start=start, success=success, **more)


def test_episodes_of_the_same_start_are_a_pair_in_the_order_of_the_starts():
    table = [episode("b", "3"), episode("a", "1"), episode("a", "3", False), episode("b", "1"), episode("c", "1")]
    pairing = pair_sides(table, Side("a"), Side("b"))
    assert [(pair.first.policy, pair.first.start, pair.second.start) for pair in pairing.pairs] == [
        ("a", "3", "3"),
        ("a", "1", "1"),
    ]
    assert [compute_difference(pair, "success") for pair in pairing.pairs] == [-1, 0]


def test_starts_that_only_one_policy_has_are_named():
    table = [episode("a", "1"), episode("a", "2"), episode("b", "2"), episode("b", "3"), episode("b", "4")]
    pairing = pair_sides(table, Side("a"), Side("b"))
    assert [key.start for key in pairing.only_first] == ["1"]
    assert [key.start for key in pairing.only_second] == ["3", "4"]


def test_a_start_under_two_conditions_is_two_starts():
    table = [episode(policy, "1", condition=noise) for policy in "ab" for noise in ("0", "0.1")]
    assert len(pair_sides(table, Side("a"), Side("b")).pairs) == 2
    assert not pair_sides([table[0], table[3]], Side("a"), Side("b")).pairs


def test_one_policy_is_compared_under_two_conditions():
    table = [episode("a", str(start), condition=noise) for start in range(3) for noise in ("0", "0.1")]
    pairing = pair_sides(table, Side("a", "0"), Side("a", "0.1"))
    assert [(pair.first.condition, pair.second.condition) for pair in pairing.pairs] == [("0", "0.1")] * 3


def test_a_repeated_episode_is_found():
    table = [episode("a", "1"), episode("a", "1", training="2"), episode("a", "1", condition="x"), episode("a", "1")]
    assert [*find_repeated(table)] == [table[3]]


def test_scores_are_subtracted_and_scores_without_bounds_only_ordered():
    (pair,) = pair_sides([episode("a", "1", score=0.25), episode("b", "1", score=0.5)], Side("a"), Side("b")).pairs
    assert (compute_difference(pair, "score"), compute_difference(pair, "sign")) == (-0.25, -1)


@pytest.mark.parametrize(
    ("values", "measure", "words"),
    [
        ({"success": None}, "success", "has no success"),
        ({}, "score", "has no score"),
        ({"score": float("nan")}, "sign", "has no score"),
        ({"score": 31.5}, "score", "31.5 of a at start 7 is not between 0 and 1"),
    ],
)
def test_an_episode_that_lacks_what_is_measured_is_named(values, measure, words):
    table = [Observation(policy="a", start="7", **values), episode("b", "7", score=1)]
    (pair,) = pair_sides(table, Side("a"), Side("b")).pairs
    with pytest.raises(ValueError, match=words):
        compute_difference(pair, measure)
