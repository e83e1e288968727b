"""The random numbers that loaders draw are those of an uncut training of LeRobot's, whose processes load its data."""

import sys
import types

import pytest
from robotrain_workloads.lerobot_train.loading_state import RandomDraws


class Sampler:
    epoch = 3

    def set_epoch(self, epoch):
        self.epoch = epoch

    def load_state_dict(self, state):
        self.epoch = state["epoch"]


class Loader:
    """One that draws a number each time that it makes an iterator."""

    state = 0

    def __init__(self, num_workers):
        self.num_workers = num_workers

    def _get_iterator(self):
        Loader.state += 1


class Config:
    eval_steps = 5

    def __init__(self, persistent_workers):
        self.persistent_workers = persistent_workers

    def validate(self):
        pass


@pytest.fixture
def trainer(monkeypatch):
    """The module of the trainer, with a PyTorch whose loaders draw."""
    torch, data, module = types.ModuleType("torch"), types.ModuleType("torch.utils.data"), types.ModuleType("trainer")
    torch.get_rng_state, torch.set_rng_state = lambda: Loader.state, lambda state: setattr(Loader, "state", state)
    data.DataLoader = type("DataLoader", (Loader,), {"_get_iterator": Loader._get_iterator})
    module.EpisodeAwareSampler = type("Sampler", (Sampler,), {})
    module.TrainPipelineConfig = type("Config", (Config,), {})
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch.utils.data", data)
    module.DataLoader = data.DataLoader
    return module


WORKERS_STAY = {"workers": 0, "loads_alone": False}
ALONE = {"workers": 0, "loads_alone": True}


@pytest.mark.parametrize(
    ("how", "first", "start_index", "drawn"),
    [
        (WORKERS_STAY, 0, None, [1, 0, 1, 0]),
        (WORKERS_STAY | {"workers": 4, "again": 0}, 0, None, [1, 1]),
        (WORKERS_STAY | {"stays": False}, 0, None, [1, 1, 1, 1]),
        (ALONE, 0, None, [1, 1, 1, 1]),
        (WORKERS_STAY, 4, 32, [0, 0, 1, 0]),
        (WORKERS_STAY, 4, 0, [0, 0, 1, 0]),
        (WORKERS_STAY, 5, 32, [0, 0, 0, 0]),
        (ALONE, 5, 32, [0, 1, 1, 1]),
        (ALONE, 5, 0, [1, 1, 1, 1]),
    ],
)
def test_a_loader_draws_where_an_uncut_training_draws(trainer, how, first, start_index, drawn):
    """Drawn by the loader of the training as it begins and in the next epoch, then by that of held-out episodes."""
    RandomDraws(first, loads_alone=how["loads_alone"]).install(trainer)
    trainer.TrainPipelineConfig(how.get("stays", True)).validate()
    if start_index is not None:
        trainer.EpisodeAwareSampler().load_state_dict({"epoch": 3, "start_index": start_index})
    draws = []
    for loader in (trainer.DataLoader(how["workers"]), trainer.DataLoader(how["workers"])):
        for _ in range(1 + how.get("again", 1)):
            before = Loader.state
            loader._get_iterator()
            draws.append(Loader.state - before)
    assert draws == drawn


def test_order_of_the_data_is_not_set_back_to_the_first_epoch(trainer):
    """LeRobot's sampler starts at the epoch of the checkpoint; accelerate tells it the first one of this process."""
    RandomDraws(0, loads_alone=False).install(trainer)
    sampler = trainer.EpisodeAwareSampler()
    sampler.set_epoch(0)
    assert sampler.epoch == 3
    del trainer.EpisodeAwareSampler
    RandomDraws(0, loads_alone=False).install(trainer)  # another LeRobot has none
