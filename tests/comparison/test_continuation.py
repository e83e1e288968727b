"""Comparisons that go on from earlier ones: which, with which starts, and with which capital."""

import pytest
from robotrain_runtime.comparison.betting import ConfidenceSequence
from robotrain_runtime.comparison.continuation import (
    KEY,
    EarlierComparison,
    PairCounts,
    choose_skip,
    dump_comparisons,
    dump_continuation,
    find_unrelated,
    load_comparisons,
    load_continuations,
    select_continued,
    sum_counts,
)

FRESH = 1000
COUNTS = PairCounts(wins=5, losses=2, both=1, neither=4)


def make(run="", policies=("a", "b"), counts=COUNTS, seed=0, skip=FRESH, episodes=12, starts=()):
    counts = [counts] * (len(policies) - 1)
    return EarlierComparison(
        run=run, policies=policies, counts=counts, seed=seed, skip=skip, episodes=episodes, starts=starts
    )


def send(own, continued=(), conditions="easy"):
    return {KEY: dump_continuation(conditions, own, continued)}


def test_a_pair_counts_from_the_side_of_the_policy_that_asks():
    earlier = [make(policies=("a", "b", "c")), make(policies=("b", "a"))]
    assert sum_counts(earlier, "a", "b") == PairCounts(7, 7, 2, 8)
    assert sum_counts(earlier, "c", "a") == PairCounts(2, 5, 1, 4)
    assert sum_counts(earlier, "b", "c") == sum_counts([], "a", "b") == PairCounts()


def test_the_capital_goes_on_and_looks_on_the_way_to_it_do_not_count():
    whole, resumed = ConfidenceSequence(0.95), ConfidenceSequence(0.95)
    for difference in (1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0, 0.0, 1.0):
        whole.add(difference)
    resumed.resume({1.0: 5, -1.0: 2, 0.0: 1})
    resumed.add(1.0)
    assert (resumed.count, resumed.mean) == (whole.count, whole.mean)
    assert resumed.e_value < whole.e_value, "the most of the whole one was after five wins"
    once = ConfidenceSequence(0.95)
    once.resume({1.0: 6, -1.0: 2, 0.0: 1})
    assert resumed.e_value == pytest.approx(once.e_value)
    assert once.low <= resumed.low < resumed.high <= once.high


def test_nothing_before_changes_nothing():
    resumed = ConfidenceSequence(0.95)
    resumed.resume(PairCounts().differences)
    assert (resumed.count, resumed.mean, resumed.low) == (0, None, -1)


@pytest.mark.parametrize(
    ("seed", "skips", "skip"),
    [
        (0, [], FRESH),
        (0, [FRESH], FRESH + 12),
        (0, [FRESH, FRESH + 12], FRESH + 24),
        (0, [FRESH + 30], FRESH + 42),
        (0, [FRESH + 60], FRESH),
        (5, [FRESH], FRESH + 7),
        (500, [FRESH], FRESH),
    ],
)
def test_starts_are_those_that_no_earlier_comparison_had(seed, skips, skip):
    assert choose_skip([make(skip=earlier) for earlier in skips], seed, FRESH, 40) == skip


def test_numbered_starts_follow_those_before_whatever_the_seed_is():
    earlier = [make(starts=("#1", "#2")), make(skip=FRESH + 12, starts=("#3",), seed=7)]
    assert choose_skip(earlier, 99, FRESH, 40) == FRESH + 24


def test_comparisons_that_played_the_same_starts_count_once():
    first, same, later = make("1"), make("2", skip=FRESH + 11), make("3", skip=FRESH + 12)
    assert select_continued([first, same, later], ("a", "b")) == [first, later]
    listed = [make("1", starts=("#1",)), make("2", starts=("#1", "#2")), make("3", starts=("#2",))]
    assert [comparison.run for comparison in select_continued(listed, ("b", "a"))] == ["1", "3"]
    assert select_continued([first], ("a", "c")) == []


def test_what_runs_went_on_from_is_known_with_them_and_each_once():
    first, second = make("run-1"), make(skip=FRESH + 12)
    runs = {"run-1": send(make()), "run-2": send(second, [first]), "run-3": send(make(), conditions="hard"), "x": {}}
    comparisons = load_continuations(runs, "easy")
    assert [comparison.run for comparison in comparisons] == ["run-1", "run-2"]
    assert load_comparisons(dump_comparisons(comparisons)) == comparisons
    pruned = load_continuations({"run-2": runs["run-2"]}, "easy")
    assert [comparison.run for comparison in pruned] == ["run-1", "run-2"], "a removed run is not forgotten"


def test_a_comparison_of_the_same_policies_that_did_not_go_on_is_found():
    runs = {"run-1": send(make()), "run-2": send(make(skip=FRESH + 12), [make("run-1")]), "run-3": send(make(seed=500))}
    runs["run-4"] = send(make(policies=("a", "c")))
    assert find_unrelated(runs, "run-1") == find_unrelated(runs, "run-2") == ["run-3"]
    assert find_unrelated(runs, "run-3") == ["run-1", "run-2"]
    assert find_unrelated(runs, "run-4") == find_unrelated({"x": {}}, "x") == find_unrelated({}, "x") == []


@pytest.mark.parametrize("text", ["x", "1", "[1]", "[{}]", '[{"run": "x", "counts": []}]', '{"a": 1}'])
def test_what_is_no_earlier_comparison_is_refused(text):
    with pytest.raises(ValueError):
        load_comparisons(text)
    assert load_continuations({"x": {KEY: text}}, "easy") == []
