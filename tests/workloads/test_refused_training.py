"""A training whose options the trainer refuses on its machine, and the line that repeats it with another value."""

from pathlib import Path

import pytest
from robotrain_workloads.lerobot_train import rules

pytestmark = pytest.mark.slow  # LeRobot reads its options, and trains once
EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = ("dim_model=32", "n_heads=2", "dim_feedforward=32", "n_encoder_layers=1", "use_vae=false")
LINE = (
    "submit",
    "--platform",
    "local",
    "--wait",
    "--dataset-path",
    EXAMPLES / "pusht-mini/dataset",
    "--batch-size",
    "4",
)
SHORT = ("--training-steps", "2", "--device", "cpu", "--num-workers", "0", "--val-split", "0")


@pytest.mark.long
def test_the_line_after_a_refusal_of_the_trainer_trains(robotrain, training_environment, monkeypatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    options = ("chunk_size=8", "n_action_steps=20", *SMALL)
    with monkeypatch.context() as without_rules:  # as if this rule were not known before submission
        without_rules.setattr(rules, "check_options", lambda job: ())
        failed = robotrain(*LINE, *SHORT, "--", *(f"--policy.{option}" for option in options))
    assert failed.exit_code == 5, failed.stderr
    status = robotrain("status", "--json").json
    assert "rejects --policy.chunk_size=8 --policy.n_action_steps=20" in status["reason"]
    assert status["next"][-1] == f"robotrain resubmit {status['run']} --set KEY=VALUE"
    again = robotrain("resubmit", status["run"], "--wait", "--", "--policy.chunk_size=20")
    assert again.exit_code == 0, again.stderr
