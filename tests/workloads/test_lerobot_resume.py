"""Real trainings that start from a policy, after a kill, and from the checkpoint of another run."""

import json
import os
import shutil
import signal
import struct
import time
from pathlib import Path

import pytest
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Checkpoint, Metrics, Outcome, Track
from robotrain_workloads.lerobot import training_history
from small_training import SMALL, read_lines_until, read_tensors

pytestmark = [pytest.mark.slow, pytest.mark.long]

MODEL = "pretrained_model"


def mean(folder: Path, feature: str) -> list[float]:
    """What a policy subtracts from a feature."""
    (file,) = (folder / MODEL).glob("policy_preprocessor_step_*_normalizer_processor.safetensors")
    return [value for (value,) in struct.iter_unpack("<f", read_tensors(file)[f"{feature}.mean"])]


def compute_largest_difference(first: Path, other: Path) -> float:
    """How far apart the weights of two policies are at most, by the first of each tensor."""
    before, after = (read_tensors(folder / MODEL / "model.safetensors") for folder in (first, other))
    assert before.keys() == after.keys()
    assert len(before) > 100
    pairs = ((before[name][:256], after[name][:256]) for name in before)
    values = (zip(*(struct.iter_unpack("<f", part) for part in pair), strict=True) for pair in pairs)
    return max(abs(a - b) for of_one in values for (a,), (b,) in of_one)


def test_h1_01_a_policy_is_tuned_from_its_weights_at_the_new_rate_with_the_statistics_of_the_new_dataset(
    train, small, recorded
):
    parameters = {"training_steps": 2, "log_freq": 1, "learning_rate": 2e-4, "seed": 2}
    tuned = train(recorded / "larger", ["--policy.n_action_steps=4"], {"policy": small.checkpoint}, **parameters)
    assert tuned.read_metric("train/learning_rate") == {1: 2e-4, 2: 2e-4}
    assert tuned.read_metric()[1] < small.ran.read_metric()[1] / 1.5
    made = tuned.work / "outputs/checkpoints/000002"
    difference = compute_largest_difference(made, small.checkpoint)
    assert 0 < difference < 1e-3  # two steps at this rate; another start is 5 away
    assert mean(made, "action") == pytest.approx([10 * value for value in mean(small.checkpoint, "action")], rel=1e-4)
    assert '"n_action_steps": 4' in (made / MODEL / "config.json").read_text()
    (parent,) = [event.tags for event in tuned.events(Track) if "parent_run" in event.tags]
    assert parent["parent_step"] == "6"
    assert not any("random weights" in text for text in tuned.notes)
    _, base = training_history.read_trainings(made / MODEL)
    assert (base.model.resolve(), base.part) == ((small.checkpoint / MODEL).resolve(), 0.1)


def test_weights_alone_need_nothing_else_of_the_policy(train, small, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(small.checkpoint / MODEL / name, bare)
    still = ["--policy.optimizer_lr_backbone=1e-30"]
    begun = train(small.dataset, still, {"init_policy": bare}, training_steps=1, learning_rate=1e-30, seed=2)
    made = begun.work / "outputs/checkpoints/000001"
    weights, expected = (read_tensors(folder / MODEL / "model.safetensors") for folder in (made, small.checkpoint))
    assert weights == expected
    assert mean(made, "observation.state") == mean(small.checkpoint, "observation.state")


def test_network_option_that_the_weights_do_not_fit_fails_in_preflight(train, small):
    starts = {"policy": small.checkpoint}
    ran = train(small.dataset, ["--policy.dim_feedforward=32"], starts, training_steps=1, exit_code=4)
    assert "--policy.dim_feedforward=32 does not fit the policy, whose weights need 64" in ran.events(Outcome)[0].reason


def test_weights_that_do_not_fit_the_configuration_are_the_reason(train, small, tmp_path):
    policy = tmp_path / "policy"
    policy.mkdir()
    shutil.copy(small.checkpoint / MODEL / "model.safetensors", policy)
    settings = json.loads((small.checkpoint / MODEL / "config.json").read_text())
    (policy / "config.json").write_text(json.dumps({**settings, "dim_feedforward": 32}))
    ran = train(small.dataset, (), {"init_policy": policy}, training_steps=1, exit_code=1)
    assert "weights do not match the network that its configuration describes" in ran.events(Outcome)[0].reason


@pytest.mark.usefixtures("cold")
def test_a_killed_run_resumes_when_it_is_started_again(start, train, pusht, tmp_path):
    parameters = {"training_steps": 240, "save_freq": 60, "log_freq": 10, "eval_freq": 60}
    parent = tmp_path / "work/outputs/checkpoints"
    process = start(pusht, SMALL["act"], **parameters)
    list(read_lines_until(process, '"event": "checkpoint"'))
    while not checkpoint.read_manifest(parent / "000060"):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    assert '"event": "outcome"' not in process.communicate()[0]
    good, _ = checkpoint.find_last_complete(parent) or (0, None)
    assert 60 <= good < 240

    again = train(pusht, SMALL["act"], **parameters)
    assert any(f"resuming from step {good}" in text for text in again.notes)
    steps = [*again.read_metric()]
    assert (steps[0], steps[-1]) == (good + 10, 240)
    left = [step for step in (120, 180, 240) if step > good]
    assert [*again.read_metric("val/loss")] == [event.step for event in again.events(Checkpoint)] == left
    there = dict(checkpoint.list_checkpoints(parent))
    assert sorted(there) == [60, 120, 180, 240]
    assert [checkpoint.validate_checkpoint(folder) for folder in there.values()] == [""] * 4
    assert (parent / "last").resolve() == there[240]


def test_a_resumed_training_ends_with_the_weights_of_an_uncut_one(train, small):
    """With dropout and a variational encoder, which draw random numbers."""
    settings = json.loads((small.checkpoint / MODEL / "config.json").read_text())
    assert settings["use_vae"]
    assert settings["dropout"]
    halfway = small.checkpoint.with_name("000003")
    resumed = train(small.dataset, (), {"resume": halfway}, learning_rate=3e-4, log_freq=1)
    made = resumed.work / "outputs/checkpoints/000006"
    for file in (f"{MODEL}/model.safetensors", "training_state/rng_state.safetensors"):
        assert (made / file).read_bytes() == (small.checkpoint / file).read_bytes(), file


@pytest.mark.usefixtures("cold")
def test_a_stopped_run_is_resumed_by_another_run(start, train, pusht, tmp_path):
    parameters = {"save_freq": 50_000, "eval_freq": 0, "learning_rate": 3e-4}
    process = start(pusht, SMALL["act"], training_steps=100_000, log_freq=1, **parameters)
    list(read_lines_until(process, "train/loss"))
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    ((step, saved),) = checkpoint.list_checkpoints(tmp_path / "work/outputs/checkpoints")
    assert checkpoint.validate_checkpoint(saved) == ""
    before = {path: path.lstat().st_mtime_ns for path in (tmp_path / "work/outputs").rglob("*")}

    total = step + 6
    on = train(pusht, SMALL["act"], {"resume": saved}, "on", training_steps=total, log_freq=2, **parameters)
    assert {path: path.lstat().st_mtime_ns for path in (tmp_path / "work/outputs").rglob("*")} == before
    assert [*on.read_metric()][-1] in (total, total - 1)
    assert min(on.read_metric()) > step
    assert all(event.total == total for event in on.events(Metrics) if event.step is not None)
    (made,) = on.events(Checkpoint)
    assert (made.step, Path(made.path).parent) == (total, on.work / "outputs/checkpoints")
    assert {*on.read_metric("train/learning_rate").values()} == {3e-4}
    (own,) = training_history.read_trainings(Path(made.path, made.model))  # what it resumed is the same training
    assert (own.started_from, own.is_resumed) == ("", False)
    assert f"{MODEL}/{training_history.RECORD_FILE}" in checkpoint.read_manifest(Path(made.path)).files
