"""A pipeline that trains two policies, compares them, and registers only one that is not worse."""

import pytest
from eval_launcher import PUSHT
from test_compared_rollouts import EASY, policies

__all__ = ["policies"]
pytestmark = pytest.mark.slow
NETWORK = "[--policy.chunk_size=8, --policy.n_action_steps=4, --policy.dim_model=32, --policy.n_heads=2]"
TRAINING = "training_steps: 2, save_freq: 2, batch_size: 2, num_workers: 0, device: cpu"
PLAY = "env: pusht, starts: easy, env_steps: 3, success_reward: 0.15, env_workers: 0, device: cpu"
"""Some starts of the block are this near to its goal, others are not."""
TRAINED = f"""
name: gated
steps:
  old:
    workload: lerobot-train
    parameters: {{{TRAINING}, seed: 1}}
    sources: {{dataset: [{{local_path: {PUSHT / "dataset"}}}]}}
    trainer_args: {NETWORK}
  new:
    workload: lerobot-train
    parameters: {{{TRAINING}, seed: 2}}
    sources: {{dataset: [{{local_path: {PUSHT / "dataset"}}}]}}
    trainer_args: {NETWORK}
  compare:
    workload: lerobot-eval
    parameters: {{{PLAY}, margin: 0.3, register_model: gated}}
    sources:
      policy: [{{from: new}}]
      reference: [{{from: old}}]
"""
GIVEN = """
name: refused
steps:
  compare:
    workload: lerobot-eval
    parameters: {{{parameters}, margin: 0.3, device: cpu, register_model: refused}}
    sources:
      policy: [{{local_path: {policy}}}]
      reference: [{{local_path: {reference}}}]
"""


def list_states(robotrain) -> dict[str, str]:
    return {step["name"]: step["state"] for step in robotrain("status", "--json").json["steps"]}


def test_the_new_policy_is_registered_once_it_is_shown_not_to_be_worse(robotrain, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "pipeline.yaml").write_text(TRAINED)
    answer = robotrain("pipeline", "submit", tmp_path / "pipeline.yaml", "--platform", "local", "--wait")
    assert answer.exit_code == 0, answer.stderr
    assert set(list_states(robotrain).values()) == {"succeeded"}
    assert [model["name"] for model in robotrain("status", "--json").json["registered"]] == ["gated"]
    assert "is not worse than" in answer.stderr + answer.stdout


def test_a_policy_that_is_worse_is_not_registered(robotrain, policies, tmp_path):
    parameters = ", ".join(f"{name}: {value}" for name, value in EASY.items())
    text = GIVEN.format(parameters=parameters, policy=policies / "hides", reference=policies / "pushes")
    (tmp_path / "pipeline.yaml").write_text(text)
    answer = robotrain("pipeline", "submit", tmp_path / "pipeline.yaml", "--platform", "local", "--wait")
    assert answer.exit_code == 5, answer.stderr
    assert list_states(robotrain) == {"compare": "failed"}
    assert robotrain("status", "--json").json["registered"] == []
    assert "is worse than" in answer.stderr + answer.stdout
