"""The launcher of a training, with a trainer that is pretended."""

import contextlib
import gc
import importlib.metadata
import json
import logging
import multiprocessing
import os
import signal
import sys
import time
import types
from pathlib import Path

import pytest
from robotrain_runtime.contract import event
from robotrain_workloads.lerobot import device
from robotrain_workloads.lerobot_train import completed_options, launcher, trainer_fixes
from robotrain_workloads.lerobot_train.request import TrainingRequest

REQUEST = TrainingRequest(device="cpu").dump()
DATA = f"--dataset.root={Path(__file__).parents[2]}/examples/pusht-mini/dataset"
TRAINER = """
import gc, importlib.metadata
ENABLED = {"import": gc.isenabled()}
PACKAGES = importlib.metadata.packages_distributions()
class MetricsTracker:
    reset_averages = print
update_last_checkpoint = make_policy = make_reward_pre_post_processors = print
class TrainPipelineConfig:
    validate = print
def main():
    ENABLED["training"] = gc.isenabled()
"""


@pytest.fixture
def pretended_trainer(tmp_path, monkeypatch):
    folder = tmp_path / "lerobot" / "scripts"
    folder.mkdir(parents=True)
    (folder / "lerobot_train.py").write_text(TRAINER)
    accelerator = type("Accelerator", (), {"reduce": print, "wait_for_everyone": print})
    monkeypatch.setitem(sys.modules, "accelerate", types.SimpleNamespace(Accelerator=accelerator))
    loader = types.SimpleNamespace(_get_iterator=None)
    monkeypatch.setitem(sys.modules, "torch.utils.data", types.SimpleNamespace(DataLoader=loader))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(device, "choose_device", lambda requested: "cpu")
    monkeypatch.setattr(event, "emit_line", lambda text: None)
    root, handler = logging.getLogger(), signal.getsignal(signal.SIGTERM)
    level, filters = root.level, list(root.filters)
    yield
    root.setLevel(level)
    root.filters[:] = filters
    signal.signal(signal.SIGTERM, handler)
    gc.unfreeze()
    for name in [name for name in sys.modules if name.partition(".")[0] == "lerobot"]:
        del sys.modules[name]


def test_no_garbage_is_collected_while_the_trainer_is_imported(pretended_trainer, tmp_path):
    """Measured: 0.7 s of CPU time of 5.2, of collections that find nothing."""
    frozen = gc.get_freeze_count()
    try:
        launcher.main([REQUEST, "--", "--steps=2", DATA, f"--output_dir={tmp_path}/outputs"])
        assert sys.modules["lerobot.scripts.lerobot_train"].ENABLED == {"import": False, "training": True}
        assert gc.get_freeze_count() > frozen, "collections while it trains go through all modules"
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [None, RuntimeError("CUDA error: unspecified"), SystemExit(143)])
def test_processes_that_load_data_end_with_the_training(pretended_trainer, tmp_path, monkeypatch, error):
    """At exit PyTorch waits 5 s for each where batches are pinned, and the GPU is held meanwhile."""
    loader = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)

    def train():
        loader.start()
        if error:
            raise error

    monkeypatch.setattr(importlib.import_module("lerobot.scripts.lerobot_train"), "main", train)
    with contextlib.suppress(RuntimeError, SystemExit):
        launcher.main([REQUEST, "--", "--steps=2", DATA, f"--output_dir={tmp_path}/outputs"])
    loader.join(10)
    assert loader.exitcode == -signal.SIGKILL


def test_files_of_distributions_are_not_read_meanwhile(pretended_trainer, tmp_path, monkeypatch):
    """Measured: 0.5 s of CPU time, because diffusers asks when it is imported."""
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"yaml": ["PyYAML"]})
    launcher.main([REQUEST, "--", "--steps=2", DATA, f"--output_dir={tmp_path}/outputs"])
    assert sys.modules["lerobot.scripts.lerobot_train"].PACKAGES == {}
    assert importlib.metadata.packages_distributions() == {"yaml": ["PyYAML"]}


def test_a_launcher_that_got_ready_takes_the_arguments_of_the_work_from_its_input(
    pretended_trainer, tmp_path, monkeypatch
):
    receive, send = os.pipe()
    work = ["-m", "launcher", REQUEST, "--", "--steps=2", DATA, f"--output_dir={tmp_path}/outputs"]
    with open(send, "w") as pipe:
        pipe.write(json.dumps(work) + "\n")
    with open(receive) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        launcher.main(["--warm-up", "--steps=9"])
    assert sys.modules["lerobot.scripts.lerobot_train"].ENABLED["training"]
    assert sys.argv[1] == "--steps=2"


def test_processors_get_the_statistics_of_renamed_features_by_their_new_names():
    """LeRobot gives them by the dataset's names, and does not normalize what has none."""
    received = {}
    trainer = types.SimpleNamespace(make_pre_post_processors=lambda **options: received.update(options))
    trainer_fixes.rename_statistics(trainer, {"observation.image": "observation.images.top"})
    statistics, others = {"observation.image": {"mean": 1}, "action": {"mean": 2}}, {"rename_map": {"a": "b"}}
    steps = {"normalizer_processor": {"stats": statistics}, "rename_observations_processor": others}
    trainer.make_pre_post_processors(policy_cfg=3, dataset_stats=statistics, preprocessor_overrides=steps)
    renamed = {"observation.images.top": {"mean": 1}, "action": {"mean": 2}}
    expected = {"normalizer_processor": {"stats": renamed}, "rename_observations_processor": others}
    assert received == {"policy_cfg": 3, "dataset_stats": renamed, "preprocessor_overrides": expected}
    assert "observation.image" in statistics, "the trainer still reads it"
    trainer.make_pre_post_processors(policy_cfg=4)  # of a resume: the checkpoint's statistics count
    assert received["policy_cfg"] == 4


@pytest.mark.parametrize(("tasks", "told"), [(["push", "", "  "], "2 episode(s) have no text"), (["push"], "")])
def test_episodes_without_a_task_are_noted_if_it_is_trained_on(monkeypatch, tasks, told):
    notes = []
    monkeypatch.setattr(event, "emit_event", notes.append)
    monkeypatch.setattr(completed_options.dataset, "read_first_tasks", lambda root: enumerate(tasks))
    own = types.SimpleNamespace(reads_task=True)
    completed_options.note_data(own, None, has_chosen=False)
    assert [told in note.text for note in notes] == [True] * bool(told)


@pytest.mark.parametrize(
    ("line", "is_loaded"),
    [
        ("Warning: Could not load state dict: size mismatch for action_in_proj", False),
        ("Returning model without loading pretrained weights", False),
        ("All keys loaded successfully!", True),
    ],
)
def test_weights_that_lerobot_only_says_it_did_not_load_end_the_training(capsys, line, is_loaded):
    trainer = types.ModuleType("trainer")
    trainer.make_policy = lambda cfg: print(line) or cfg
    trainer_fixes.require_loaded_weights(trainer)
    if is_loaded:
        assert trainer.make_policy("policy") == "policy"
    else:
        with pytest.raises(SystemExit, match=r"were not loaded: .*(mismatch|without)"):
            trainer.make_policy("policy")
    assert line in capsys.readouterr().out


def test_a_reward_model_that_resumes_is_given_the_statistics_of_its_data():
    trainer = types.ModuleType("trainer")
    trainer.make_reward_pre_post_processors = lambda cfg, **options: options.get("dataset_stats")
    trainer_fixes.keep_statistics(trainer)
    meta = types.SimpleNamespace(stats="of the data")
    assert trainer.make_reward_pre_post_processors("sarm", dataset_meta=meta) == "of the data"
    assert trainer.make_reward_pre_post_processors("sarm", dataset_meta=meta, dataset_stats="given") == "given"
