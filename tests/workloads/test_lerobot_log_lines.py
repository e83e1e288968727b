"""The fallback that reads LeRobot's log lines: every suffix, every number, and no other line."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robotrain_workloads.lerobot_train import trainer_monitor

LINE = (
    "INFO 2026-11-20 05:52:53 ot_train.py:451 step:{step} smpl:{samples} ep:{episodes} epch:{epochs:.2f}"
    " loss:{loss:.3f}"
    " grdn:{grad:.3f} lr:{rate:0.1e} updt_s:{update:.3f} data_s:{data:.3f}"
)
NUMBER = st.floats(allow_nan=True, allow_infinity=True)
COUNT = st.integers(0, 10**17)


def big(number: float) -> str:
    """LeRobot's `format_big_number`."""
    for suffix in ("", "K", "M", "B", "T", "Q"):
        if abs(number) < 1000.0:
            return f"{number:.0f}{suffix}"
        number /= 1000.0
    raise AssertionError("too big")


def same(read: float, sent: float, digits: int) -> bool:
    return (math.isnan(read) and math.isnan(sent)) or read == float(f"{sent:.{digits}f}")


@given(
    COUNT, COUNT, NUMBER, NUMBER, st.floats(1e-9, 1.0), st.sampled_from(["", " smp/s:27 l1_loss:0.989 kld_loss:1.2"])
)
def test_a_training_line_is_read_whatever_its_numbers(samples, episodes, loss, grad, rate, more):
    line = LINE.format(
        step=big(samples // 32),
        samples=big(samples),
        episodes=big(episodes),
        epochs=1.5,
        loss=loss,
        grad=grad,
        rate=rate,
        update=0.1,
        data=0.01,
    )
    read = trainer_monitor.parse_window(line + more)
    assert read.keys() == trainer_monitor.METRIC_NAMES.keys()
    assert same(read["train/loss"], loss, 3)
    assert same(read["train/grad_norm"], grad, 3)
    assert read["train/samples"] == pytest.approx(samples, rel=0.5, abs=0.5)
    assert read["train/learning_rate"] == pytest.approx(rate, rel=0.06)


@given(st.integers(0, 10**9), NUMBER)
def test_a_held_out_loss_is_read_with_its_exact_step(step, loss):
    read_step, read_loss = trainer_monitor.parse_held_out_loss(
        f"INFO 2026-11-20 ot_train.py:673 step {step}: eval_loss={loss:.4f}"
    )
    assert read_step == step
    assert same(read_loss, loss, 4)


@pytest.mark.parametrize(
    ("number", "value"),
    [("1K", 1e3), ("2M", 2e6), ("3B", 3e9), ("4T", 4e12), ("5Q", 5e15), ("7", 7), ("-2", -2), ("1.5e+03", 1500)],
)
def test_suffixes(number, value):
    assert trainer_monitor.parse_window(f"step:1K smpl:{number} loss:0.1")["train/samples"] == value


@pytest.mark.parametrize(
    "line", ["", "Training: 5%|", "cfg.steps=20 (20)", "step: x", "loss:1.0", "a:1 b:2", "step 5: evaluating"]
)
def test_any_other_line_is_left_alone(line):
    assert trainer_monitor.parse_window(line) is None
    assert trainer_monitor.parse_held_out_loss(line) is None
