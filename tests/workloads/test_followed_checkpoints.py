"""Checkpoints that are evaluated while their training goes on: which, when, and until when."""

import json
import threading
import time

import pytest
from eval_launcher import list_events
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Evaluated, Note, Scored
from robotrain_workloads.lerobot import device
from robotrain_workloads.lerobot_eval import checkpoint_scores
from robotrain_workloads.lerobot_eval.checkpoint_scores import follow_checkpoints
from test_checkpoint_scores import PretendedEvaluation


class PretendedTraining:
    """A training that saves checkpoints into a folder, and a file that says that it has ended."""

    def __init__(self, place):
        self.folder, self.marker = place / "checkpoints", place / "pipeline/ended-train"
        self.folder.mkdir()
        self.marker.parent.mkdir()

    def save(self, step, sealed=True):
        folder = self.folder / f"{step:06}"
        model = folder / "pretrained_model"
        model.mkdir(parents=True)
        (model / "config.json").write_text(json.dumps({"type": "act", "step": step}))
        (model / "model.safetensors").write_text(f"weights of {step}")
        if sealed:
            self.seal(step)

    def seal(self, step):
        folder = self.folder / f"{step:06}"
        checkpoint.seal_checkpoint(folder, step=step, run="r", job="j", model="pretrained_model")

    def remove(self, step):
        (self.folder / f"{step:06}").rename(self.folder / f"removed-{step}")

    def end(self):
        self.marker.write_text("succeeded\n")


@pytest.fixture
def training(tmp_path):
    return PretendedTraining(tmp_path)


@pytest.fixture
def follow(training):
    """The steps that are yielded; before each wait the next of the given functions is called."""

    def run(which, *happens):
        left = list(happens)

        def wait(seconds):
            left.pop(0)()

        checkpoints = follow_checkpoints(training.folder, which, training.marker, wait)
        return [(int(folder.name), count) for folder, count in checkpoints]

    return run


def test_each_checkpoint_is_yielded_once_when_it_is_complete(training, follow):
    training.save(100)
    events = [
        lambda: training.save(200, sealed=False),
        lambda: training.seal(200),
        lambda: [training.save(step) for step in (300, 400)],
        training.end,
    ]
    assert follow("all", *events) == [(100, 1), (200, 2), (300, 4), (400, 4)]


def test_the_last_is_known_when_the_training_has_ended(training, follow):
    training.save(100)
    assert follow("200", lambda: training.save(200), lambda: training.save(300), training.end) == [(200, 1), (300, 2)]


def test_a_failed_training_leaves_what_was_saved(training, follow):
    training.save(100)
    training.save(200, sealed=False)
    training.end()
    assert follow("all") == [(100, 1)]


def test_a_checkpoint_that_is_removed_is_named(training, capfd):
    for step in (100, 200):
        training.save(step)
    checkpoints = follow_checkpoints(training.folder, "all", training.marker, lambda seconds: training.end())
    assert next(checkpoints)[0].name == "000100"
    training.remove(200)
    training.save(300)
    assert [folder.name for folder, _ in checkpoints] == ["000300"]
    (note,) = list_events(capfd.readouterr().out.splitlines(), Note)
    assert (note.level, "step 200 was removed" in note.text) == ("warning", True)


def test_nobody_waits_for_a_pipeline_that_is_gone(training, follow):
    training.save(100)
    assert follow("all", training.marker.parent.rmdir) == [(100, 1)]


@pytest.fixture
def followed(training, monkeypatch):
    """The evaluation of a training's checkpoints beside it."""
    monkeypatch.setattr(checkpoint_scores, "POLL_SECONDS", 0.01)

    def make(successes):
        return PretendedEvaluation(training.folder, successes, until=training.marker)

    return make


def test_the_scores_are_those_of_an_evaluation_after_the_training(training, followed, capfd):
    training.save(100)
    made = followed({100: 1, 200: 3, 300: 2})
    evaluating = threading.Thread(target=made.run)
    evaluating.start()
    until = time.monotonic() + 20
    while made.evaluated != [100] and time.monotonic() < until:
        time.sleep(0.01)
    assert made.evaluated == [100], "the training has not ended"
    for step in (200, 300):
        training.save(step)
    training.end()
    evaluating.join(20)
    lines = capfd.readouterr().out.splitlines()
    beside, (best,) = list_events(lines, Scored), list_events(lines, Evaluated)
    assert (best.step, len(beside)) == (200, 3)
    later = PretendedEvaluation(training.folder, {100: 1, 200: 3, 300: 2}, results=training.folder.parent / "new/r")
    later.run()
    assert later.evaluated == [100, 200, 300]
    assert list_events(capfd.readouterr().out.splitlines(), Scored) == beside


def test_a_checkpoint_that_is_removed_while_it_is_evaluated_is_skipped(training, followed, capfd):
    class Removed(Exception):
        """What reading a file that is gone raises."""

        def __str__(self):
            if (training.folder / "000200").exists():
                training.remove(200)
            return "gone"

    for step in (100, 200, 300):
        training.save(step)
    training.end()
    followed({100: 1, 200: Removed(), 300: 2}).run()
    lines = capfd.readouterr().out.splitlines()
    assert [event.step for event in list_events(lines, Scored)] == [100, 300]
    assert any("step 200 was removed" in note.text for note in list_events(lines, Note))


def test_a_best_checkpoint_that_is_gone_is_named_and_not_kept(training, followed, capfd):
    for step in (100, 200):
        training.save(step)
    made = followed({100: 4, 200: 1})
    evaluate = made.evaluate

    def remove_first(request, *arguments):
        if request.policy.step == 200:
            training.remove(100)
        return evaluate(request, *arguments)

    made.evaluate = remove_first
    training.end()
    made.run()
    lines = capfd.readouterr().out.splitlines()
    (best,) = list_events(lines, Evaluated)
    assert (best.step, best.policy) == (100, "")
    assert any("step 100, was removed" in note.text for note in list_events(lines, Note))


@pytest.mark.parametrize(
    ("visible", "count", "last"), [(None, 1, ""), (None, 4, "3"), ("2,5", 2, "5"), ("0", 1, ""), (None, 0, "")]
)
def test_an_evaluation_beside_a_training_takes_the_last_gpu(visible, count, last):
    assert device.choose_last_gpu(visible, count) == last
