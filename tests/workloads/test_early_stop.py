"""`--stop-after-no-improvement`: a training ends once its validation loss does not improve any more."""

import json
import math
import shutil

import pytest
from robotrain_runtime.contract.event import Checkpoint, Metrics
from robotrain_workloads.lerobot_train.trainer_monitor import STATE_FILE, EarlyStop
from small_training import SMALL

LOSSES = [5.0, 4.0, 4.0, 4.5, 3.0, math.nan, 3.0, 3.1]
IMPROVING = [True, True, False, False, True, False, False, False]


def feed(early_stop: EarlyStop, losses: list[float], first: int = 0) -> list[int]:
    """The steps at which it is over."""
    ended = []
    for step, loss in enumerate(losses, first):
        assert early_stop.add(step, loss) is IMPROVING[step]
        if early_stop.is_over:
            ended.append(step)
    return ended


@pytest.mark.parametrize(("patience", "ended"), [(1, [2, 3, 5, 6, 7]), (2, [3, 6, 7]), (3, [7]), (4, [])])
def test_only_a_lower_loss_counts_and_neither_an_equal_one_nor_nan(patience, ended):
    assert feed(EarlyStop(patience), LOSSES) == ended


@pytest.mark.parametrize("cut", range(1, len(LOSSES)))
def test_an_interrupted_training_ends_where_an_uncut_one_does(cut, tmp_path):
    (tmp_path / STATE_FILE).parent.mkdir()
    before, after = EarlyStop(3), EarlyStop(3)
    feed(before, LOSSES[:cut])
    before.save(tmp_path)
    after.load(tmp_path)
    assert feed(after, LOSSES[cut:], cut) == [7]
    assert (after.best_step, after.best_loss) == (4, 3.0)


@pytest.mark.parametrize(
    "content", [None, "", "[]", '{"step": 1}', '{"step": 1, "loss": "low", "without_improvement": 1}']
)
def test_a_checkpoint_of_another_training_or_a_damaged_one_counts_from_the_beginning(content, tmp_path):
    if content is not None:
        (tmp_path / STATE_FILE).parent.mkdir()
        (tmp_path / STATE_FILE).write_text(content)
    early_stop = EarlyStop(1)
    early_stop.load(tmp_path)
    assert (early_stop.best_step, early_stop.without_improvement) == (None, 0)


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (("--val-split", "0"), "--val-split 0.1 (holds out episodes)"),
        (("--eval-freq", "0"), "leave out --eval-freq"),
    ],
)
def test_a_training_without_a_validation_loss_is_refused(words, suggestion, robotrain):
    answer = robotrain(
        *("render", "--platform", "local", "--policy-type", "act", "--dataset-repo-id", "lerobot/pusht"),
        *("--stop-after-no-improvement", "2", *words),
    )
    answer.check_problems(2, "option-without-effect")
    assert suggestion in answer.stderr


STILL = (*SMALL["act"], "--policy.optimizer_lr_backbone=1e-12")
STOPPING = {"training_steps": 30, "val_split": 0.25, "eval_freq": 1, "save_freq": 100, "learning_rate": 1e-12}


@pytest.mark.slow
def test_a_training_that_does_not_improve_ends_with_its_best_and_its_last_step_also_after_a_resume(
    train, recorded, tmp_path
):
    ended = train(recorded / "small", STILL, stop_after_no_improvement=2, **STOPPING)
    assert [event.step for event in ended.events(Checkpoint)] == [1, 3]
    assert (ended.events(Metrics)[-1].step, ended.events(Metrics)[-1].total) == (3, 3)
    loss = ended.read_metric("val/loss")
    assert [*loss] == [1, 2, 3]
    unimproved = "the training ends at step 3: the validation loss has not improved 2 times"
    reason = f"{unimproved}; it was lowest at step 1: {loss[1]:.4g}"
    assert reason in ended.notes
    first = tmp_path / "first/000001"
    shutil.copytree(ended.work / "outputs/checkpoints/000001", first)
    assert json.loads((first / STATE_FILE).read_text()) == {"step": 1, "loss": loss[1], "without_improvement": 0}
    resumed = train(
        recorded / "small", starts={"resume": first}, work="resumed", stop_after_no_improvement=2, **STOPPING
    )
    assert [event.step for event in resumed.events(Checkpoint)] == [3]
    assert reason in resumed.notes


@pytest.mark.slow
@pytest.mark.long
def test_processes_that_train_together_end_together(train, recorded):
    ended = train(recorded / "small", STILL, num_gpus=2, stop_after_no_improvement=2, **STOPPING)
    assert [event.step for event in ended.events(Checkpoint)] == [1, 3]
    assert sum("the training ends at step 3" in text for text in ended.notes) == 1
