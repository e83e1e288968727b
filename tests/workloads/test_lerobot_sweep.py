"""A sweep of real trainings on this machine, from the command to the report."""

import subprocess
import sys
from pathlib import Path

import pytest

JOB = Path(__file__).parents[2] / "examples/pusht-mini/job.yaml"


@pytest.mark.slow
@pytest.mark.long
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
    assert [(one["state"], one["values"]) for one in trials] == [
        ("succeeded", {"learning_rate": "1e-4"}),
        ("succeeded", {"learning_rate": "1e-2"}),
    ]
    assert status["sweep"]["metric"] == "val/loss"
    best = min(trials, key=lambda one: one["score"])
    assert status["sweep"]["best"] == {"trial": best["name"], "run": best["run"]}
    for one in trials:
        assert robotrain("status", one["run"], "--json").json["metrics"]["val/loss"] == one["score"]
    assert [
        path.split("/")[0] for path in (one["name"] for one in robotrain("outputs", run, "--json").json["outputs"])
    ][:2] == ["trial-1", "trial-2"]
    page = tmp_path / "page.html"
    assert robotrain("report", run, "--to", page).exit_code == 0
    assert f"robotrain register {best['run']} MODEL" in page.read_text()
