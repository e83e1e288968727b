"""A training whose checkpoints are scored, on this machine: the table, MLflow, and what `register --best` takes."""

import re
import sqlite3
from contextlib import closing

import pytest
from robotrain_local import plans
from robotrain_runtime.contract import event
from small_training import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("training_python")]

SIZE = ("--training-steps", 6, "--save-freq", 2, "--log-freq", 1, "--batch-size", 2, "--num-workers", 0)
ROLLED = ("--env", "pusht", "--starts", "easy", "--env-steps", 5, "--eval-episodes", 2, "--env-workers", 0)
MEASURED = re.compile("latency|throughput")
"""Scores that are speeds of the machine."""


@pytest.mark.long
def test_checkpoints_of_a_training_are_scored_and_the_best_is_registered(robotrain, pusht, tmp_path):
    database = tmp_path / "mlflow.db"
    words = (
        "--platform",
        "local",
        "--dataset-path",
        pusht,
        "--tracking-uri",
        f"sqlite:///{database}",
        "--device",
        "cpu",
    )
    words = (
        *words,
        *SIZE,
        "--val-split",
        0,
        "--evaluate-checkpoints",
        4,
        *ROLLED,
        "--confirm",
        10,
        "--name",
        "scored",
        "--wait",
    )
    answer = robotrain("submit", *words, "--", *SMALL["act"])
    assert answer.exit_code == 0, answer.stdout + answer.stderr

    table = robotrain("status", "scored", "--json").json["checkpoint_scores"]
    assert [row["step"] for row in table["checkpoints"]] == [4, 6]
    assert [(row["episodes"], row["scores"]["rollout/episodes"], row["error"]) for row in table["checkpoints"]] == [
        (4, 2, "")
    ] * 2
    assert all(row["loss"] > 0 for row in table["checkpoints"])
    rates = {row["step"]: row["scores"]["rollout/success_rate"] for row in table["checkpoints"]}
    best = max(rates, key=lambda step: (rates[step], step))
    assert (table["metric"], table["best"]) == ("rollout/success_rate", best)
    lines = robotrain("status", "scored").stdout.splitlines()
    (marked,) = [line.split() for line in lines if "best of 2" in line and "checkpoints" not in line]
    assert marked[0] == str(best)
    page = robotrain("report", "scored", "--to", tmp_path / "report.html")
    assert page.exit_code == 0, page.stderr
    text = (tmp_path / "report.html").read_text()
    assert "Scores of the checkpoints" in text
    assert re.search('class="card (success|failure)"', text), "the outcome of each episode of its evaluation"

    answer = robotrain("register", "scored", "pusher", "--best", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert (answer.json["model"], answer.json["step"]) == ("pusher", best)
    with closing(sqlite3.connect(database)) as opened:
        stored = opened.execute("select step, value from metrics where key = 'rollout/success_rate'").fetchall()
        tags = dict(opened.execute("select key, value from model_version_tags").fetchall())
    assert dict(stored) == rates
    assert tags["score_rollout_episodes"] == "10", "its score is the confirmed one"
    assert tags["evaluated_in"].endswith("; best of 2 checkpoints, confirmed from fresh starts")

    (training,) = [
        step["run"] for step in robotrain("status", "scored", "--json").json["steps"] if step["name"] == "train"
    ]
    again = robotrain("register", training, "pusher", "--best", "--json")
    assert (again.exit_code, again.json["version"], again.json["new"]) == (0, answer.json["version"], False)


@pytest.mark.long
def test_on_four_cores_the_evaluation_begins_before_the_training_ends(robotrain, pusht, tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "count_cores", lambda: 4)
    monkeypatch.setattr(plans, "count_visible_gpus", lambda: 0)
    common = ("--platform", "local", "--dataset-path", pusht, "--tracking-uri", "none", "--device", "cpu")
    rolled = ("--env", "pusht", "--starts", "easy", "--env-steps", 20, "--eval-episodes", 2, "--env-workers", 0)
    size = ("--training-steps", 600, "--save-freq", 200, "--batch-size", 2, "--num-workers", 0, "--val-split", 0)
    words = (*common, *size, *rolled, "--evaluate-checkpoints", "--name", "followed", "--wait")
    answer = robotrain("submit", *words, "--", *SMALL["act"])
    assert answer.exit_code == 0, answer.stdout + answer.stderr
    status = robotrain("status", "followed", "--json").json
    steps = {step["name"]: step for step in status["steps"]}
    beside = read_scored(tmp_path, steps["evaluate"]["run"])
    assert [*beside] == [200, 400, 600]
    assert steps["evaluate"]["started"] < steps["train"]["ended"]

    words = (*common, *rolled, "--policy-run", steps["train"]["run"], "--checkpoints", "all", "--name", "after")
    answer = robotrain("submit", "lerobot-eval", *words, "--wait")
    assert answer.exit_code == 0, answer.stdout + answer.stderr
    after = read_scored(tmp_path, robotrain("status", "after", "--json").json["run"])
    assert after == beside


def read_scored(tmp_path, run):
    """The scores, without measured times, of each checkpoint that a run evaluated, by step."""
    lines = (tmp_path / "state/local" / run / "events.jsonl").read_text().splitlines()
    events = [record.event for line in lines if (record := event.parse_event(line))]
    return {
        scored.step: {name: value for name, value in scored.scores.items() if not MEASURED.search(name)}
        for scored in events
        if isinstance(scored, event.Scored)
    }
