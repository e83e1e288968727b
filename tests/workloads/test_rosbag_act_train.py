"""`rosbag-act-train`: a name for `lerobot-train --policy-type act --bags`, which reads config.yaml."""

import json
from pathlib import Path

import pytest
from job_documents import check_job
from problem_assertions import check_problems
from recorded_bags import Recording
from robotrain_workloads.rosbag_act_train.workload import ROSBAG_ACT_TRAIN
from small_training import find_model

CONFIG = """
data: {bag_dir: bags, image_topics: {}, state_topic: /joint_states, action_topic: /action, fps: 10, val_split: 0.5}
model: {chunk_size: 8, n_obs_steps: 1, dim_model: 16, n_heads: 2, dim_feedforward: 32, n_encoder_layers: 1}
train: {steps: 4, batch_size: 4, lr: 1.0e-4, save_freq: 2, log_freq: 2, num_workers: 0, device: cpu}
"""


@pytest.fixture
def bags(tmp_path) -> Path:
    """Two bags without a topic of the environment."""
    for number in range(2):
        Recording(steps=20).write(tmp_path / f"bags/ep{number}", "mcap" if number else "sqlite3")
    return tmp_path / "bags"


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"policy_type": "diffusion"}, "type-not-trainable --policy-type"),
        ({"policy_type": None, "reward_model": "sarm"}, "type-not-trainable --reward-model"),
        ({"bags": False}, "type-not-trainable --no-bags"),
    ],
)
def test_it_trains_act_on_bags_alone(parameters, problem):
    check_problems(check_job(ROSBAG_ACT_TRAIN, **{"policy_type": "act", **parameters}), problem)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--accumulate", "2"), "option-unknown --accumulate"),
        (("--", "--policy.chunk_size=16", "--policy.n_action_steps=20"), "script-option-invalid --"),
        (("--", "--policy.dim_model=500"), "script-option-invalid --"),
    ],
)
def test_what_lerobot_does_not_take_is_refused_before_it_is_sent(robotrain, bags, words, problem):
    answer = robotrain("render", "rosbag-act-train", "--platform", "local", "--dataset-path", bags, *words)
    answer.check_problems(2, problem)


def test_a_policy_of_another_type_is_refused(robotrain, bags, policy):
    words = ("submit", "rosbag-act-train", "--platform", "local", "--dataset-path", bags, "--dry-run")
    answer = robotrain(*words, "--policy-path", policy("other", type="diffusion"))
    assert answer.exit_code == 4, answer.stderr


def test_pipelines_evaluate_its_policy(robotrain, fake_platform, bags):
    words = ("--platform", "fake", "--dataset-path", bags, "--env", "pusht", "--dry-run", "--json")
    answer = robotrain("pipeline", "train-eval", "rosbag-act-train", *words)
    assert answer.exit_code == 0, answer.stderr
    steps = json.loads(answer.json["files"]["pipeline.json"]["text"])["steps"]
    roles = {step["name"]: [source["role"] for source in step["sources"]] for step in steps}
    assert "dataset" in roles["train"]
    assert roles["evaluate"] == ["policy"]


@pytest.mark.slow
def test_bags_are_converted_trained_resumed_and_evaluated(robotrain, training_environment, bags):
    """Act, with its config.yaml; bags without pictures, so that no weights are needed."""
    config = bags.parent / "config.yaml"
    config.write_text(CONFIG)
    line = ("submit", "rosbag-act-train", "--platform", "local", "--config", config, "--environment-state-topic")
    answer = robotrain(*line, "/action", "--wait", "--json")
    assert answer.exit_code == 0, answer.stderr
    model = find_model(answer)
    settings = json.loads((model / "config.json").read_text())
    assert (settings["type"], settings["chunk_size"], settings["n_action_steps"]) == ("act", 8, 8)
    resumed = robotrain("resume", answer.json["run"], "--set", "training_steps=6", "--wait", "--json")
    assert resumed.exit_code == 0, resumed.stderr
    model = find_model(resumed)
    assert model.parent.name == "000006"
    dataset = json.loads((model / "train_config.json").read_text())["dataset"]["root"]
    words = ("--dataset-path", dataset, "--replay-episodes", "0", "--device", "cpu", "--wait", "--json")
    answer = robotrain("submit", "lerobot-eval", "--platform", "local", "--policy-run", resumed.json["run"], *words)
    assert answer.exit_code == 0, answer.stderr
