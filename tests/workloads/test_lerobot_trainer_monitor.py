"""Metrics of a trainer: exact where LeRobot's names are known, else from its log."""

import json
import logging
import sys
import types
from pathlib import Path

import pytest
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Checkpoint, Metrics, Note
from robotrain_workloads.lerobot import training_history
from robotrain_workloads.lerobot.process_group import GroupStop, ProcessAgreement, SingleProcessStop
from robotrain_workloads.lerobot_train import trainer_monitor
from robotrain_workloads.lerobot_train.trainer_monitor import TrainerMonitor


@pytest.fixture
def stop_handler(monkeypatch):
    """One that leaves this process's signals alone."""
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    return SingleProcessStop()


@pytest.fixture
def root_logger():
    """The root logger as LeRobot sets it, and as it was afterwards."""
    root = logging.getLogger()
    level, filters = root.level, list(root.filters)
    root.setLevel(logging.INFO)
    yield root
    root.setLevel(level)
    root.filters[:] = filters


@pytest.fixture
def read_events(capsys):
    return lambda: [
        record.event for line in capsys.readouterr().out.splitlines() if (record := event.parse_event(line))
    ]


class Tracker:
    """The part of LeRobot's MetricsTracker that is relied on."""

    accelerator = None

    def __init__(self) -> None:
        self.steps = 0

    def to_dict(self):
        return {"steps": self.steps, "samples": 1_234_567 * self.steps, "loss": 1 / 3, "l1_loss": 0.5}

    def reset_averages(self):
        self.forgotten = True


def test_a_window_is_sent_exactly_before_it_is_forgotten(stop_handler, root_logger, read_events):
    tracker_class = type("MetricsTracker", (Tracker,), {"reset_averages": Tracker.reset_averages})
    TrainerMonitor(100_000, 200, stop_handler).install(types.SimpleNamespace(MetricsTracker=tracker_class))
    tracker = tracker_class()
    for tracker.steps in (1000, 1200):
        logging.info("step:1K smpl:1M loss:0.333")
        tracker.reset_averages()
    metrics = read_events()
    assert tracker.forgotten
    assert [(one.step, one.total) for one in metrics] == [(1000, 100_000), (1200, 100_000)]
    assert metrics[1].values == {"train/samples": 1_234_567 * 1200, "train/loss": 1 / 3}


def test_where_the_names_moved_the_log_is_read_and_no_two_windows_share_a_step(stop_handler, root_logger, read_events):
    TrainerMonitor(1000, 200, stop_handler).install(types.SimpleNamespace())
    for text in ("step:200 smpl:6K loss:0.5 lr:1.0e-04", "cfg.steps=1000", "step:400 smpl:1M loss:nan lr:1.0e-04"):
        logging.info(text)
    logging.info("step 400: eval_loss=0.2500")
    first, second, held_out = read_events()
    assert first == Metrics(
        values={"train/samples": 6000.0, "train/loss": 0.5, "train/learning_rate": 1e-4}, step=200, total=1000
    )
    assert second.step == 400
    assert second.values["train/loss"] != second.values["train/loss"]
    assert held_out == Metrics(values={"val/loss": 0.25}, step=400, total=1000)


def test_a_training_that_goes_on_counts_its_windows_from_there(stop_handler, root_logger, read_events):
    TrainerMonitor(1000, 200, stop_handler, first=500).install(types.SimpleNamespace())
    logging.info("step:600 smpl:6K loss:0.5")
    logging.info("step:800 smpl:6K loss:0.5")
    assert [metrics.step for metrics in read_events()] == [600, 800]


def test_a_checkpoint_is_announced_once_it_is_complete(stop_handler, root_logger, read_events, tmp_path):
    done = []
    trainer = types.SimpleNamespace(
        update_last_checkpoint=done.append, should_save_checkpoint=lambda step, every, total: step % every == 0
    )
    TrainerMonitor(100, 10, stop_handler).install(trainer)
    assert not trainer.should_save_checkpoint(7, 10, 100)
    trainer.update_last_checkpoint(tmp_path / "000010")
    assert done == [tmp_path / "000010"]
    assert read_events() == [Checkpoint(step=10, path=str(tmp_path / "000010"), model="pretrained_model")]


def test_a_training_that_was_told_to_stop_saves_at_once_and_ends(stop_handler, root_logger, read_events):
    trainer = types.SimpleNamespace(update_last_checkpoint=lambda folder: None, should_save_checkpoint=lambda *_: False)
    TrainerMonitor(100, 10, stop_handler).install(trainer)
    stop_handler.is_requested = True
    assert trainer.should_save_checkpoint(7, 10, 100)
    with pytest.raises(SystemExit) as ended:
        trainer.update_last_checkpoint(Path("/x/000007"))
    assert ended.value.code == 143
    assert read_events()[0].step == 7


def test_one_of_several_ends_after_the_step_they_agreed_on_once_all_have_come_there(
    stop_handler, root_logger, read_events, tmp_path, monkeypatch
):
    told = []
    accelerator = type("Accelerator", (), {"wait_for_everyone": lambda self: told.append("met")})
    accelerator.end_training = lambda self: told.append("left")
    monkeypatch.setitem(sys.modules, "accelerate", types.SimpleNamespace(Accelerator=accelerator))
    trainer = types.SimpleNamespace(update_last_checkpoint=lambda folder: None, should_save_checkpoint=lambda *_: False)
    agreement = ProcessAgreement(tmp_path)
    TrainerMonitor(100, 10, GroupStop(agreement, first=True)).install(trainer)
    agreement.stop_requested.touch()
    assert not trainer.should_save_checkpoint(7, 10, 100)
    accelerator().wait_for_everyone()
    assert trainer.should_save_checkpoint(8, 10, 100)
    trainer.update_last_checkpoint(tmp_path / "000008")
    assert told == ["met"]
    with pytest.raises(SystemExit) as ended:
        accelerator().wait_for_everyone()
    assert (ended.value.code, told) == (0, ["met", "met", "left"])


def test_between_distant_windows_it_is_told_how_far_training_is(stop_handler, root_logger, read_events, monkeypatch):
    trainer = types.SimpleNamespace(should_save_checkpoint=lambda step, *more: False, update_last_checkpoint=print)
    TrainerMonitor(100_000, 50_000, stop_handler).install(trainer)
    assert not trainer.should_save_checkpoint(1, 5000, 100_000)
    assert read_events() == []
    monkeypatch.setattr(trainer_monitor, "SILENCE_SECONDS", -1.0)
    assert not trainer.should_save_checkpoint(2, 5000, 100_000)
    assert read_events() == [Metrics(values={}, step=2, total=100_000)]


def test_a_checkpoint_whose_weights_are_not_finite_fails_the_training(
    stop_handler, root_logger, read_events, monkeypatch
):
    saved = []
    monkeypatch.setattr(trainer_monitor, "find_non_finite_tensor", lambda file: f"{file.parent.name}.weight")
    trainer = types.SimpleNamespace(update_last_checkpoint=saved.append)
    TrainerMonitor(100, 10, stop_handler).install(trainer)
    with pytest.raises(SystemExit, match=r"error: .*NaN or infinite at step 10 .*pretrained_model\.weight") as ended:
        trainer.update_last_checkpoint(Path("/x/000010"))
    assert "--allow-non-finite" in ended.value.code
    assert (read_events(), saved) == ([], [])


@pytest.mark.parametrize("loss", ["nan", "inf"])
def test_a_loss_that_is_not_finite_keeps_no_checkpoint_and_fails_at_the_end(
    stop_handler, root_logger, read_events, loss
):
    trainer = types.SimpleNamespace(update_last_checkpoint=lambda folder: None)
    monitor = TrainerMonitor(20, 5, stop_handler)
    monitor.install(trainer)
    logging.info(f"step:5 smpl:6K loss:{loss}")
    trainer.update_last_checkpoint(Path("/x/000005"))
    logging.info("step:10 smpl:6K loss:0.5")
    trainer.update_last_checkpoint(Path("/x/000010"))
    monitor.require_finite_loss()
    logging.info(f"step:15 smpl:6K loss:{loss}")
    for end in (lambda: trainer.update_last_checkpoint(Path("/x/000020")), monitor.require_finite_loss):
        with pytest.raises(SystemExit, match=f"train/loss is {loss} at step 15"):
            end()
    sent = [one for one in read_events() if not isinstance(one, Metrics)]
    assert [type(one) for one in sent] == [Note, Checkpoint]
    assert (sent[0].level, sent[1].step) == ("warning", 10)
    assert "000005 is not used" in sent[0].text


def test_whoever_allows_it_keeps_what_is_not_finite(stop_handler, root_logger, read_events, monkeypatch):
    monkeypatch.setattr(trainer_monitor, "find_non_finite_tensor", lambda file: "weight")
    trainer = types.SimpleNamespace(update_last_checkpoint=lambda folder: None)
    monitor = TrainerMonitor(5, 5, stop_handler, allow_non_finite=True)
    monitor.install(trainer)
    logging.info("step:5 smpl:6K loss:nan")
    trainer.update_last_checkpoint(Path("/x/000005"))
    monitor.require_finite_loss()
    assert isinstance(read_events()[-1], Checkpoint)


def test_each_checkpoint_records_the_trainings_that_led_to_it(stop_handler, root_logger, read_events, policy):
    model = policy("run/000010/pretrained_model")
    config = {"dataset": {"eval_split": 0.1}, "policy": {"pretrained_path": "/gone/base"}}
    (model / "train_config.json").write_text(json.dumps(config))
    base = training_history.PolicyTraining(
        model=Path("/gone/base"), part=0.2, episodes=[1], started_from="", is_resumed=False, statistics={}
    )
    trainer = types.SimpleNamespace(update_last_checkpoint=lambda folder: None)
    TrainerMonitor(100, 10, stop_handler, allow_non_finite=True, earlier=[base]).install(trainer)
    trainer.update_last_checkpoint(model.parent)
    own, recorded = training_history.read_trainings(model)
    assert (own.part, own.started_from, recorded) == (0.1, "/gone/base", base)
