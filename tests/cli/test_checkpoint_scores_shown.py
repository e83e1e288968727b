"""Scores of checkpoints in `status`, `watch` and `register --best`, from the events of a run."""

import pytest
from robotrain_runtime.contract.event import Checkpoint, Metrics, Scored
from snapshots import check_snapshot


def score(step: int, rate: float, **more: object) -> Scored:
    values = {"rollout/success_rate": rate, "rollout/episodes": 10.0}
    bounds = {"rollout/success_rate_low": max(rate - 0.2, 0.0), "rollout/success_rate_high": min(rate + 0.2, 1.0)}
    return Scored(step=step, scores=values | bounds, episodes=10, **more)


LOSSES = [Metrics(values={"train/loss": 9.0 / step}, step=step, total=300) for step in (90, 200, 300)]
SCORES = [score(100, 0.4), score(200, 0.7), Scored(step=300, error="its weights are damaged")]


def find_rows(text: str) -> dict[str, str]:
    """The rows of the table by their step."""
    lines = [line.strip() for line in text.partition("checkpoints:")[2].splitlines() if line.strip()]
    return {words[0]: line for line in lines if (words := line.split()) and words[0].isdecimal()}


def test_status_shows_each_checkpoint_and_marks_the_best(scripted, robotrain):
    scripted.run("eval-1", *SCORES, state="failed")
    shown = robotrain("status", "eval-1").stdout
    rows = find_rows(shown)
    assert [*rows] == ["100", "200", "300"]
    assert [step for step, row in rows.items() if "best" in row] == ["200"]
    check_snapshot("cli/snapshots/status-checkpoint-scores.txt", shown)


def test_json_has_the_table_only_where_checkpoints_are_scored(scripted, robotrain):
    scripted.run("eval-1", *SCORES, state="succeeded")
    table = robotrain("status", "eval-1", "--json").json["checkpoint_scores"]
    assert (table["metric"], table["best"], table["compared"]) == ("rollout/success_rate", 200, 2)
    assert [(row["step"], row["error"]) for row in table["checkpoints"]] == [
        (100, ""),
        (200, ""),
        (300, "its weights are damaged"),
    ]
    scripted.run("eval-2", state="succeeded")
    assert "checkpoint_scores" not in robotrain("status", "eval-2", "--json").json


def test_the_loss_at_a_checkpoint_is_the_last_one_before_it(scripted, robotrain):
    validation = Metrics(values={"val/loss": 0.25}, step=200)
    scripted.run("train-1", *LOSSES, validation, *SCORES[:2], state="succeeded")
    rows = robotrain("status", "train-1", "--json").json["checkpoint_scores"]["checkpoints"]
    assert [row["loss"] for row in rows] == [pytest.approx(0.1), pytest.approx(0.045)]
    assert [row["validation_loss"] for row in rows] == [None, 0.25], "that of the step itself"


def test_a_later_score_of_a_step_replaces_the_earlier(scripted, robotrain):
    scripted.run("eval-1", score(100, 0.9), score(200, 0.5), score(100, 0.3), state="succeeded")
    assert robotrain("status", "eval-1", "--json").json["checkpoint_scores"]["best"] == 200


def test_without_scores_the_best_is_refused_with_what_to_type(scripted, robotrain):
    scripted.run("train-1", Checkpoint(step=300, path="/gone/000300"), state="succeeded")
    robotrain("register", "train-1", "pusher", "--best").check_problems(2, "scores-missing")


def test_the_best_and_a_step_exclude_each_other(scripted, robotrain):
    scripted.run("train-1", *SCORES, state="succeeded")
    robotrain("register", "train-1", "pusher", "--best", "--step", "100").check_problems(2, "options-conflict")


def test_an_evaluation_that_kept_nothing_names_the_step_to_register(scripted, robotrain):
    scripted.run("eval-1", *SCORES, state="cancelled")
    answer = robotrain("register", "eval-1", "pusher", "--best")
    assert answer.exit_code == 2
    assert "--step 200" in answer.stderr
