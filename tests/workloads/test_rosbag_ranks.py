"""Parts of a step: accumulated, or on several processes, they are one batch; a stop and a failure reach all."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from bag_training import BagTraining, read_events, read_losses
from recorded_bags import Recording
from robotrain_workloads.rosbag_act_train import launcher

TWO = {"num_gpus": 2, "batch_size": 4}
EXACT = {"dropout": 0.0, "training_steps": 12, "save_freq": 6, "log_freq": 1}


@pytest.fixture
def training(tmp_path, rosbag_python):
    for number in range(3):
        Recording(steps=30 + number).write(tmp_path / "bags" / f"ep{number}")
    return BagTraining(tmp_path, rosbag_python, tmp_path / "bags")


ROUNDED = ("in_proj_bias", "decoder.layers.0.self_attn.in_proj_weight")
"""Weights that change no output: their gradient is rounding alone, which Adam makes as large as any other."""


def largest_difference(one, other, without=ROUNDED):
    assert one.keys() == other.keys()
    return max(float(np.abs(one[name] - other[name]).max()) for name in one if not name.endswith(without))


@pytest.mark.slow
def test_parts_and_processes_are_one_batch(training):
    """With padding, the variational noise and a validation loss: only dropout draws other numbers."""
    both = training.train_several(
        [
            training.settings("whole", **EXACT),
            training.settings("parts", **EXACT, batch_size=4, accumulate=2),
            training.settings("bf16", **EXACT, mixed_precision="bf16"),
        ]
    )
    whole, parts, bf16 = np.reshape(read_losses(both), (3, 12))
    two = training.train("two", **EXACT, **TWO)
    assert np.abs(whole - parts).max() < 1e-5
    assert np.abs(whole - read_losses(two)).max() < 1e-5
    assert largest_difference(training.weights("whole"), training.weights("parts")) < 1e-5
    assert largest_difference(training.weights("whole"), training.weights("two")) < 1e-5
    held_out = read_losses(both, "val/loss")
    assert np.abs(np.subtract(held_out[:2], read_losses(two, "val/loss"))).max() < 1e-5
    assert len(read_events(two, "checkpoint")) == 2, "only the first process saves and reports"

    assert 0 < np.abs(whole - bf16).max() < 0.05 * whole.max()


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_in_bf16_are_one_batch(training):
    given = {**EXACT, "training_steps": 4, "mixed_precision": "bf16"}
    one, two = (training.train(name, **given, **how) for name, how in (("one", {}), ("two", TWO)))
    assert np.abs(np.subtract(read_losses(one), read_losses(two))).max() < 0.02 * read_losses(one)[0]


def list_ranks(folder: Path) -> list[int]:
    """The processes whose command names a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return sorted(found)


def wait_for_step(process: subprocess.Popen[str], step: int) -> None:
    for line in process.stdout:
        if f'"step": {step}' in line:
            return
    pytest.fail(f"ended with {process.wait()}")


@pytest.mark.slow
@pytest.mark.long
def test_a_stop_reaches_all_and_resumes_to_the_same_weights(training):
    given = {"log_freq": 1, "save_freq": 100_000}
    training.train("whole", **given, **TWO, training_steps=20)
    cut = training.start("cut", **given, **TWO, training_steps=100_000)
    wait_for_step(cut, 3)
    cut.send_signal(signal.SIGTERM)
    output = cut.communicate(timeout=60)[0]
    assert cut.returncode == 128 + signal.SIGTERM, output
    assert "Traceback" not in output
    (saved,) = (training.folder / "cut").iterdir()
    assert int(saved.name) < 20
    resumed = training.train("resumed", resume=saved, **given, **TWO, training_steps=20)
    assert not any("the order of samples changes" in line for line in resumed)
    assert largest_difference(training.weights("whole"), training.weights("resumed"), without=()) == 0
    assert list_ranks(training.folder) == []


@pytest.mark.slow
def test_a_process_that_fails_ends_the_others(training):
    process = training.start("endless", **TWO, log_freq=1, training_steps=100_000)
    wait_for_step(process, 2)
    first, *ranks = [one for one in list_ranks(training.folder) if one != process.pid]
    os.kill(ranks[0] if ranks else first, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert list_ranks(training.folder) == []


def test_what_a_process_leaves_behind_is_not_waited_for(tmp_path, monkeypatch):
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    code = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, file=open(sys.argv[1], 'a'))"
    (tmp_path / "leaving.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(launcher, "TRAINER", "leaving")
    began = time.monotonic()
    try:
        assert launcher.run_ranks(2, str(tmp_path / "left"), tmp_path) == 0
        assert time.monotonic() - began < 30
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for pid in (tmp_path / "left").read_text().split():
            os.kill(int(pid), signal.SIGKILL)


@pytest.mark.slow
def test_a_bag_that_cannot_be_used_is_reported_once(training, tmp_path):
    (file,) = Recording(size=(48, 64)).write(tmp_path / "bags" / "ep9", "mcap").glob("*.mcap")
    os.truncate(file, file.stat().st_size // 2)
    process = training.start("none", num_gpus=2)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 4
    assert output.count("ends too early") == 1
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("changed", "needed"),
    [
        ({"device": "cpu", "num_gpus": 2}, None),
        ({"device": "auto"}, None),
        ({"device": "auto", "num_gpus": 2}, (2, False)),
        ({"device": "cuda", "mixed_precision": "bf16"}, (1, True)),
    ],
)
def test_required_gpus_follow_device_and_precision(bag_document, changed, needed):
    from robotrain_workloads.rosbag_act_train import container

    required = container.gpus(bag_document(**changed))
    assert required is None or required.without.text == "--device cpu"
    assert (required and (required.count, required.bf16)) == needed
