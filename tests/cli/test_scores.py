"""`robotrain scores`: the evaluations made from here, those of equal conditions in one table."""

import pytest
from robotrain_runtime.contract.event import Evaluated, Metrics

CHOSEN = "pusht, easy starts, best of 3 checkpoints, on the starts that chose it; 5 episodes of pusht"


@pytest.fixture
def evaluations(record_evaluation, scripted):
    """Four evaluations, two of them under equal conditions, and a training."""
    record_evaluation("eval-1", [True] * 17 + [False] * 3, called="old")
    record_evaluation("eval-2", [True] * 9 + [False], CHOSEN)
    record_evaluation("eval-3", [True, False], "pusht, default starts")
    scores = {"replay/mse": 0.25, "replay/mae": 0.5}
    scripted.run("eval-4", Evaluated(episodes=5, scores=scores, results="/x", conditions="5 episodes of a|b"))
    scripted.run("train-1", Metrics(step=1, total=2, values={"train/loss": 1.0}), state="succeeded")


def test_equal_conditions_are_one_table_and_a_chosen_checkpoint_is_named(robotrain, evaluations):
    groups = robotrain("scores", "--json").json["groups"]
    assert {group["conditions"]: [row["run"] for row in group["evaluations"]] for group in groups} == {
        "5 episodes of a|b": ["eval-4"],
        "pusht, default starts": ["eval-3"],
        "pusht, easy starts": ["eval-2", "eval-1"],
    }
    (chosen, old) = groups[-1]["evaluations"]
    assert (chosen["selection"], old["selection"]) == ("best of 3 checkpoints, on the starts that chose it", "")
    assert (old["episodes"], old["successes"], old["value"], old["name"]) == (20, 17, 0.85, "old")
    assert (old["low"], old["high"]) == pytest.approx((0.640, 0.948), abs=1e-3)
    lines = robotrain("scores").stdout.splitlines()
    assert next(line for line in lines if "old" in line).split()[:3] == ["20", "85%", "(64-95%)"]


def test_several_evaluations_of_one_policy_or_its_copies_are_named(robotrain, record_evaluation):
    for number, digest in enumerate("1121", start=1):
        record_evaluation(f"eval-{number}", [True] * number + [False] * 10, policy={"sha256": digest * 64})
    record_evaluation("eval-5", [True], "pusht, default starts", policy={"sha256": "1" * 64})
    sentence = "was evaluated 3 times under equal conditions: 29% (12-55%) in eval-4, 17% (5-45%) in eval-2, 9%"
    assert f"sha256:{'1' * 12} {sentence}" in robotrain("scores").stderr
    rows = [row for group in robotrain("scores", "--json").json["groups"] for row in group["evaluations"]]
    assert {row["run"] for row in rows if row["digest"] == "1" * 64} == {"eval-1", "eval-2", "eval-4", "eval-5"}


def test_filters_are_those_of_runs(robotrain, evaluations):
    def list_runs(*words):
        groups = robotrain("scores", *words, "--json").json["groups"]
        return [row["run"] for group in groups for row in group["evaluations"]]

    assert list_runs("--name", "old") == list_runs("old") == ["eval-1"]
    assert list_runs("--since", "1d") == ["eval-4", "eval-3", "eval-2", "eval-1"]
    assert list_runs("--until", "2020-01-01") == []
    assert "--until 2020-01-01" in robotrain("scores", "--until", "2020-01-01").stderr
