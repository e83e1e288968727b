"""Stands for robomimic's configs: dictionaries with attributes, whose keys are known."""

from contextlib import contextmanager

DEFAULTS = {
    "algo_name": "bc",
    "experiment": {
        "name": "test",
        "save": {"enabled": True, "every_n_epochs": 50},
        "epoch_every_n_steps": 100,
        "rollout": {"enabled": True},
    },
    "train": {
        "data": None,
        "output_dir": "../bc_trained_models",
        "hdf5_cache_mode": "all",
        "batch_size": 100,
        "num_epochs": 2000,
        "seed": 1,
    },
    "algo": {"actor_layer_dims": [1024, 1024]},
    "observation": {"modalities": {"obs": {"low_dim": []}}},
}


class Config(dict):
    def __init__(self, values):
        super().__init__(
            {name: Config(setting) if isinstance(setting, dict) else setting for name, setting in values.items()}
        )

    def __getattr__(self, name):
        return self[name]

    def __setattr__(self, name, value):
        assert name in self, name
        self[name] = value

    def update(self, other):
        for name, value in other.items():
            assert name in self, name
            if isinstance(value, dict):
                self[name].update(value)
            else:
                self[name] = value

    @contextmanager
    def values_unlocked(self):
        yield

    def lock(self):
        pass


def config_factory(algo_name):
    assert algo_name == DEFAULTS["algo_name"]
    return Config(DEFAULTS)
