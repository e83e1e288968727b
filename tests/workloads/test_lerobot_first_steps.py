"""A new user's first steps on this machine: train, evaluate that run with one command, sweep."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from eval_launcher import PUSHT, read_strict_json

pytestmark = [pytest.mark.slow, pytest.mark.long]
EVALUATE = (
    *("lerobot-eval", "--platform", "local", "--wait", "--policy-run", "latest", "--dataset-path", PUSHT / "dataset"),
    *("--env", "pusht", "--starts", "easy", "--env-steps", 20, "--episodes", 3, "--record-video", "--device", "cpu"),
    *("--register-model", "pusht", "--env-workers", 0, "--success-reward", 0.3),
)


def test_a_trained_run_is_evaluated_filmed_and_registered_with_its_scores(robotrain, monkeypatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    steps = ("--training-steps", 40, "--save-freq", 40, "--log-freq", 20, "--device", "cpu")
    assert robotrain("submit", PUSHT / "job.yaml", "--platform", "local", "--wait", *steps).exit_code == 0
    answer = robotrain("submit", *EVALUATE)
    assert answer.exit_code == 0, answer.stderr
    run = answer.stdout.splitlines()[0]
    results = Path("../state/local") / run / "outputs/eval_results"
    evaluation = read_strict_json(results / "eval_results.json")
    assert_real_rollout(evaluation, results)
    assert evaluation["held_out"] is True
    assert [episode["episode"] for episode in evaluation["per_episode"]] == [45, 46, 47]
    for episode in evaluation["per_episode"]:
        path = results / f"predictions/ep{episode['episode']:03d}_predictions.npz"
        assert_errors_match_arrays(episode, np.load(path))
    assert evaluation["aggregate_mse"] == pytest.approx(
        sum(episode["mse"] for episode in evaluation["per_episode"]) / 3
    )
    plots = {path.name for path in (results / "plots/episode_045").iterdir()}
    assert plots == {"action_deltas.png", "summary_panel.png"}
    tags = read_model_tags()
    assert tags["policy_type"] == "act"
    assert tags["score_rollout_success_rate"] == f"{evaluation['rollout']['success_rate']:.6g}"
    assert tags["score_replay_mse"] == f"{evaluation['aggregate_mse']:.6g}"


def assert_real_rollout(evaluation, results):
    rollout = evaluation["rollout"]
    assert (rollout["env"], rollout["episodes"], evaluation["policy"]["step"]) == ("pusht", 3, 40)
    assert rollout["success_rate"] == sum(episode["success"] for episode in rollout["per_episode"]) / 3
    rewards = [episode["max_reward"] for episode in rollout["per_episode"]]
    assert rollout["avg_max_reward"] == pytest.approx(sum(rewards) / 3)
    for episode in rollout["per_episode"]:
        assert episode["success"] == (episode["max_reward"] >= 0.3)
        assert (results / episode["video"]).read_bytes()[4:8] == b"ftyp"


def assert_errors_match_arrays(episode, arrays):
    """The errors of an episode are those of the saved arrays."""
    errors = abs(arrays["predicted"].astype("float64") - arrays["ground_truth"])
    assert len(errors) == episode["steps"] == 40
    assert episode["mae"] == pytest.approx(errors.mean(), rel=1e-5)
    assert episode["mse"] == pytest.approx((errors**2).mean(), rel=1e-5)
    assert episode["max_error"] == pytest.approx(errors.max(), rel=1e-5)
    assert episode["per_dim_mae"] == pytest.approx(errors.mean(axis=0), rel=1e-5)
    assert episode["avg_inference_ms"] == pytest.approx(1000 * np.nanmean(arrays["inference_times"]))


def read_model_tags():
    """The tags of the only version."""
    with sqlite3.connect("../state/mlflow.db") as database:
        tags = database.execute("SELECT key, value FROM model_version_tags WHERE name = 'pusht' AND version = 1")
        return dict(tags.fetchall())


JOB = Path(__file__).parents[2] / "examples/pusht-mini/job.yaml"


def test_trainings_are_compared_by_what_they_reached(training_environment, tmp_path, monkeypatch, robotrain):
    monkeypatch.setenv("ROBOTRAIN_ENVIRONMENT", training_environment)
    monkeypatch.setenv("ROBOTRAIN_TRACKING_URI", "none")
    words = ("--platform", "local", "--device", "cpu", "--training-steps", "2", "--batch-size", "2", "--save-freq", "2")
    words = (*words, "--over", "learning_rate=1e-4,1e-2", "--at-most", "2", "--wait")
    done = subprocess.run(
        [sys.executable, "-m", "robotrain", "sweep", str(JOB), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run = done.stdout.split()[0]
    status = robotrain("status", run, "--json").json
    trials = status["sweep"]["trials"]
    assert [(trial["state"], trial["values"]) for trial in trials] == [
        ("succeeded", {"learning_rate": "1e-4"}),
        ("succeeded", {"learning_rate": "1e-2"}),
    ]
    assert status["sweep"]["metric"] == "val/loss"
    best = min(trials, key=lambda trial: trial["score"])
    assert status["sweep"]["best"] == {"trial": best["name"], "run": best["run"]}
    for trial in trials:
        assert robotrain("status", trial["run"], "--json").json["metrics"]["val/loss"] == trial["score"]
    outputs = robotrain("outputs", run, "--json").json["outputs"]
    assert [output["name"].split("/")[0] for output in outputs][:2] == ["trial-1", "trial-2"]
    page = tmp_path / "page.html"
    assert robotrain("report", run, "--to", page).exit_code == 0
    assert f"robotrain register {best['run']} MODEL" in page.read_text()
