"""Events about a trainer: metrics, checkpoints, and its end."""

import copy
import json
import logging
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Checkpoint, Metrics, Note
from robotrain_workloads.lerobot import training_history
from robotrain_workloads.lerobot_train import trainer_monitor
from robotrain_workloads.lerobot_train.trainer_monitor import TrainerMonitor
from robotrain_workloads.lerobot_training.process_group import GroupStop, ProcessAgreement, SingleProcessStop


@pytest.fixture
def stop_handler(monkeypatch):
    """One that leaves this process's signals alone."""
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    return SingleProcessStop()


@pytest.fixture
def read_events(capsys):
    return lambda: [
        record.event for line in capsys.readouterr().out.splitlines() if (record := event.parse_event(line))
    ]


class Tracker:
    """The part of LeRobot's MetricsTracker that is relied on."""

    accelerator = None

    def __init__(self, **averages) -> None:
        self.averages = averages

    def to_dict(self):
        return self.averages

    def reset_averages(self):
        self.forgotten = True


class Config:
    """The part of LeRobot's TrainPipelineConfig that is relied on."""

    def __init__(self, save_freq: int) -> None:
        self.save_freq = save_freq

    def validate(self):
        self.is_valid = True


def make_saves(trainer, save_freq=10):
    """What the trainer asks at each step: whether it saves."""
    config = trainer.TrainPipelineConfig(save_freq)
    config.validate()
    assert config.is_valid
    assert (config.save_freq, json.dumps(config.save_freq)) == (save_freq, str(save_freq))
    assert type(copy.deepcopy(config.save_freq)) is int
    return lambda step: step % config.save_freq == 0


class Accelerator:
    """The part of accelerate's Accelerator that is relied on."""

    num_processes = 1

    def reduce(self, value):
        return value

    def wait_for_everyone(self):
        self.has_met = True

    def end_training(self):
        self.has_left = True


@pytest.fixture
def watch(stop_handler, monkeypatch):
    """Make the part of LeRobot's trainer that is used, and its monitor: `watch(total=100)`."""
    root = logging.getLogger()
    level, filters = root.level, list(root.filters)
    root.setLevel(logging.INFO)  # as LeRobot does

    def make(total=100, handler=stop_handler, saved=None, **options):
        monkeypatch.setitem(sys.modules, "accelerate", types.SimpleNamespace(Accelerator=type("A", (Accelerator,), {})))
        trainer = types.SimpleNamespace(
            MetricsTracker=type("MetricsTracker", (Tracker,), {}),
            TrainPipelineConfig=type("TrainPipelineConfig", (Config,), {}),
            update_last_checkpoint=([] if saved is None else saved).append,
        )
        monitor = TrainerMonitor(total, handler, **options)
        monitor.install(trainer)
        return trainer, monitor

    yield make
    root.setLevel(level)
    root.filters[:] = filters


def test_a_window_is_sent_exactly_before_it_is_forgotten(watch, read_events):
    trainer, _ = watch(100_000)
    for steps in (1000, 1200):
        tracker = trainer.MetricsTracker(steps=steps, samples=1_234_567 * steps, loss=1 / 3, l1_loss=0.5)
        tracker.reset_averages()
        assert tracker.forgotten
    metrics = read_events()
    assert [(metric.step, metric.total) for metric in metrics] == [(1000, 100_000), (1200, 100_000)]
    assert metrics[1].values == {"train/samples": 1_234_567 * 1200, "train/loss": 1 / 3}


@pytest.mark.parametrize(("reduced", "sent"), [(0.25004, 0.25004), (0.7, 0.25)])
def test_the_validation_loss_is_read_from_the_log_and_as_exact_as_it_was_reduced(watch, read_events, reduced, sent):
    watch(1000)
    number = types.SimpleNamespace(ndim=0, item=lambda: reduced)
    assert sys.modules["accelerate"].Accelerator().reduce(number) is number
    for text in ("cfg.steps=1000", "step:400 loss:0.5", "step 5: evaluating", "step 400: eval_loss=0.2500"):
        logging.info(text)
    assert read_events() == [Metrics(values={"val/loss": sent}, step=400, total=1000)]


@given(st.integers(0, 10**9), st.floats(allow_nan=True, allow_infinity=True))
def test_a_validation_loss_is_read_with_its_exact_step(step, loss):
    line = f"INFO 2026-11-20 ot_train.py:673 step {step}: eval_loss={loss:.4f}"
    read_step, read_loss = trainer_monitor.parse_held_out_loss(line)
    assert read_step == step
    assert read_loss == pytest.approx(float(f"{loss:.4f}"), nan_ok=True)


def test_a_checkpoint_is_announced_once_it_is_complete(watch, read_events, tmp_path):
    done = []
    trainer, _ = watch(100, saved=done)
    assert not make_saves(trainer)(7)
    trainer.update_last_checkpoint(tmp_path / "000010")
    assert done == [tmp_path / "000010"]
    assert read_events() == [Checkpoint(step=10, path=str(tmp_path / "000010"), model="pretrained_model")]


def test_a_stopped_training_saves_at_once_and_ends(watch, stop_handler, read_events):
    trainer, _ = watch()
    stop_handler.is_requested = True
    assert make_saves(trainer)(7)
    with pytest.raises(SystemExit) as ended:
        trainer.update_last_checkpoint(Path("/x/000007"))
    assert ended.value.code == 143
    assert read_events()[0].step == 7


def test_one_of_several_processes_ends_after_the_agreed_step_once_all_reached_it(watch, read_events, tmp_path):
    agreement = ProcessAgreement(tmp_path)
    trainer, _ = watch(100, GroupStop(agreement, first=True))
    accelerator = sys.modules["accelerate"].Accelerator()
    agreement.stop_requested.touch()
    saves = make_saves(trainer)
    assert not saves(7)
    accelerator.wait_for_everyone()
    assert saves(8)
    trainer.update_last_checkpoint(tmp_path / "000008")
    with pytest.raises(SystemExit) as ended:
        accelerator.wait_for_everyone()
    assert (ended.value.code, accelerator.has_met, accelerator.has_left) == (0, True, True)


def test_progress_is_sent_between_distant_windows(watch, read_events, monkeypatch):
    trainer, _ = watch(100_000)
    saves = make_saves(trainer, 5000)
    assert (saves(1), saves(5000)) == (False, True)
    assert read_events() == []
    monkeypatch.setattr(trainer_monitor, "SILENCE_SECONDS", -1.0)
    assert not saves(5001)
    assert read_events() == [Metrics(values={}, step=5001, total=100_000)]


def test_a_checkpoint_whose_weights_are_not_finite_fails_the_training(watch, read_events, monkeypatch):
    saved = []
    monkeypatch.setattr(trainer_monitor, "find_non_finite_tensor", lambda file: f"{file.parent.name}.weight")
    trainer, _ = watch(100, saved=saved)
    with pytest.raises(SystemExit, match=r"error: .*NaN or infinite at step 10 .*pretrained_model\.weight") as ended:
        trainer.update_last_checkpoint(Path("/x/000010"))
    assert "--allow-non-finite" in ended.value.code
    assert (read_events(), saved) == ([], [])


@pytest.mark.parametrize("loss", ["nan", "inf"])
def test_a_loss_that_is_not_finite_keeps_no_checkpoint_and_fails_at_the_end(watch, read_events, loss):
    trainer, monitor = watch(20)
    trainer.MetricsTracker(steps=5, loss=float(loss)).reset_averages()
    trainer.update_last_checkpoint(Path("/x/000005"))
    trainer.MetricsTracker(steps=10, loss=0.5).reset_averages()
    trainer.update_last_checkpoint(Path("/x/000010"))
    monitor.require_finite_loss()
    trainer.MetricsTracker(steps=15, loss=float(loss)).reset_averages()
    for end in (lambda: trainer.update_last_checkpoint(Path("/x/000020")), monitor.require_finite_loss):
        with pytest.raises(SystemExit, match=f"train/loss is {loss} at step 15"):
            end()
    sent = [event for event in read_events() if not isinstance(event, Metrics)]
    assert [type(event) for event in sent] == [Note, Checkpoint]
    assert (sent[0].level, sent[1].step) == ("warning", 10)
    assert "000005 is not used" in sent[0].text


def test_allow_non_finite_keeps_such_checkpoints(watch, read_events, monkeypatch):
    monkeypatch.setattr(trainer_monitor, "find_non_finite_tensor", lambda file: "weight")
    trainer, monitor = watch(5, allow_non_finite=True)
    trainer.MetricsTracker(steps=5, loss=float("nan")).reset_averages()
    trainer.update_last_checkpoint(Path("/x/000005"))
    monitor.require_finite_loss()
    assert isinstance(read_events()[-1], Checkpoint)


def test_each_checkpoint_records_the_trainings_that_led_to_it(watch, policy):
    model = policy("run/000010/pretrained_model")
    config = {"dataset": {"eval_split": 0.1}, "policy": {"pretrained_path": "/gone/base"}}
    (model / "train_config.json").write_text(json.dumps(config))
    base = training_history.PolicyTraining(
        model=Path("/gone/base"), part=0.2, episodes=[1], started_from="", is_resumed=False, statistics={}
    )
    trainer, _ = watch(100, allow_non_finite=True, earlier=[base])
    trainer.update_last_checkpoint(model.parent)
    own, recorded = training_history.read_trainings(model)
    assert (own.part, own.started_from, recorded) == (0.1, "/gone/base", base)


def test_processes_that_train_together_are_counted_and_told_once(watch, read_events):
    watch(ranks=(2, 4, 8))
    accelerator = sys.modules["accelerate"].Accelerator()
    accelerator.num_processes = 4
    for _ in range(2):
        accelerator.wait_for_everyone()
    assert read_events() == [event.Processes(count=4, nodes=2, samples=32)]


def test_training_that_is_silently_two_trainings_fails(watch):
    watch(ranks=(2, 2, 8))
    with pytest.raises(SystemExit, match="1 processes train together, not 2 on 2 nodes"):
        sys.modules["accelerate"].Accelerator().wait_for_everyone()
