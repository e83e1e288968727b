"""A resumed training with random image transforms has the weights of an uncut one, whatever loads its data."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.event import Note
from robotrain_workloads.lerobot_train import loading_state
from robotrain_workloads.lerobot_train.loading_state import (
    STATE_FILE,
    LoadingDraws,
    LoadingState,
    describe_difference,
    load_draws,
)
from small_training import SMALL, Trained, read_tensors

ROOT = Path(__file__).parents[2]
CAMERA = ROOT / "examples/pusht-camera/dataset"
OPTIONS = (*SMALL["act"], "--dataset.image_transforms.enable=true")
STEPS = {
    "training_steps": 11,
    "save_freq": 4,
    "log_freq": 11,
    "eval_freq": 4,
    "batch_size": 9,
    "exclude_episodes": "3-7",
}
"""An epoch has nine steps: of 80 pictures, nine at a time."""
CUT, DIFFERS = 4, "random image transforms differ"


def train_twice(train, **parameters) -> tuple[Trained, Trained]:
    """Train uncut, and from a step within an epoch to one of the next."""
    uncut = train(CAMERA, OPTIONS, work="uncut", **STEPS | parameters)
    start = uncut.work / f"outputs/checkpoints/{CUT:06d}"
    return uncut, train(CAMERA, OPTIONS, {"resume": start}, work="resumed", **STEPS | parameters)


def read_weights(trained: Trained) -> dict[str, bytes]:
    return read_tensors(trained.work / "outputs/checkpoints/000011/pretrained_model/model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.long), 2])
def test_weights_are_those_of_an_uncut_training(train, workers) -> None:
    uncut, resumed = train_twice(train, num_workers=workers)
    assert not any(DIFFERS in note for note in resumed.notes)
    assert read_weights(resumed) == read_weights(uncut)


@pytest.mark.slow
@pytest.mark.long
def test_weights_of_two_processes_that_train_together_are_those_of_an_uncut_training(train) -> None:
    uncut, resumed = train_twice(train, num_gpus=2, num_workers=2, batch_size=4)
    assert read_weights(resumed) == read_weights(uncut)


@pytest.mark.slow
def test_a_loader_draws_what_it_would_have_drawn_after_each_step(training_python) -> None:
    """With none to three loading processes, and with some that end with an epoch; also when it is cut twice."""
    folders = [ROOT / "workloads", ROOT / "runtime"]
    environ = child_python.make_import_environ(folders, os.environ)
    command = [training_python, Path(__file__).with_name("cut_loading.py")]
    answer = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=480)
    assert json.loads(answer.stdout or "null") == [[]] * 5, answer.stderr


class BatchIterator:
    def _next_data(self):
        raise StopIteration


class Loader:
    num_workers = 0

    def _get_iterator(self):
        return BatchIterator()


def begin_training(monkeypatch, checkpoint: Path, transforms: bool = True) -> list[Note]:
    """Begin to read in the training's own process, after the first step; return the notes."""
    notes: list[Note] = []
    torch, data, trainer = ModuleType("torch"), ModuleType("torch.utils.data"), ModuleType("trainer")
    data.DataLoader = type("DataLoader", (Loader,), {"_get_iterator": Loader._get_iterator})
    read = SimpleNamespace(image_transforms=SimpleNamespace(enable=transforms), streaming=False)
    trainer.TrainPipelineConfig = type("Config", (), {"dataset": read, "validate": lambda self: None})
    trainer.update_last_checkpoint = lambda folder: None
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch.utils.data", data)
    monkeypatch.setattr(loading_state, "emit_event", notes.append)
    LoadingState(1, checkpoint).install(trainer)
    trainer.TrainPipelineConfig().validate()
    data.DataLoader()._get_iterator()
    return notes


@pytest.mark.parametrize(("workers", "lines"), [(None, 1), (0, 0), (4, 1)])
def test_a_resume_that_draws_other_numbers_says_so_as_it_begins(monkeypatch, tmp_path, workers, lines) -> None:
    if workers is not None:
        (tmp_path / STATE_FILE).parent.mkdir()
        (tmp_path / STATE_FILE).write_text(json.dumps(dataclasses.asdict(LoadingDraws(workers))))
    notes = begin_training(monkeypatch, tmp_path)
    assert [DIFFERS in note.text for note in notes] == [True] * lines
    assert not begin_training(monkeypatch, tmp_path, transforms=False)


def test_the_note_of_other_draws_has_the_number_that_draws_the_same() -> None:
    lost = describe_difference(None, 2)
    assert (lost.level, lost.ways) == ("warning", ())
    assert DIFFERS in lost.text
    other = describe_difference(LoadingDraws(workers=4), 1)
    assert other.ways == (("--num-workers 4",),)
    assert "1 process loads" in other.text
    assert "4 processes did" in other.text


@pytest.mark.parametrize("content", ["", "[]", '{"next_worker": 0}', '{"workers": 2, "state": ""}'])
def test_a_damaged_record_is_none(tmp_path, content) -> None:
    assert load_draws(tmp_path) is None
    (tmp_path / STATE_FILE).parent.mkdir()
    (tmp_path / STATE_FILE).write_text(content)
    assert load_draws(tmp_path) is None
    (tmp_path / STATE_FILE).write_text(json.dumps(dataclasses.asdict(LoadingDraws(workers=2, next_worker=1))))
    assert load_draws(tmp_path) == LoadingDraws(workers=2, next_worker=1)
