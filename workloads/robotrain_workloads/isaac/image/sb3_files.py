"""Files of Stable-Baselines3, whose own load would run code in them: weights, a timestep, and what scales observations.

`launcher.py` and `rollout.py` load it.
"""

import json
import os
import pickle
import zipfile
from typing import Any

STATISTICS_CLASSES = {
    *(("collections", "OrderedDict"), ("numpy", "dtype"), ("numpy", "ndarray")),
    *(("numpy._core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "scalar")),
    ("numpy._core.numeric", "_frombuffer"),
    ("gymnasium.spaces.box", "Box"),
    ("gymnasium.spaces.dict", "Dict"),
    ("stable_baselines3.common.running_mean_std", "RunningMeanStd"),
    ("stable_baselines3.common.vec_env.vec_normalize", "VecNormalize"),
}
"""The only classes and functions in a file of statistics that are called; others leave an empty object."""


class Unread:
    """An object of a file that is left out, such as a generator of random numbers."""

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        """Take no state."""


class StatisticsReader(pickle.Unpickler):
    """Reads the file of statistics, without running code of it."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class of the file, or one that stands for it."""
        return super().find_class(module, name) if (module, name) in STATISTICS_CLASSES else Unread


def get_statistics_file(file: str) -> str:
    """Return where Isaac Lab's play script looks for the statistics that belong to a checkpoint."""
    folder, name = os.path.split(file)
    return os.path.join(folder, name.replace("model", "model_vecnormalize", 1).replace(".zip", ".pkl"))


def read_timestep(file: str) -> int:
    """Return the timestep of a checkpoint."""
    with zipfile.ZipFile(file) as archive:
        return int(json.loads(archive.read("data"))["num_timesteps"])


def read_statistics(file: str) -> Any:
    """Return the object that scales, without its environment. Raise UnpicklingError."""
    with open(file, "rb") as open_file:
        return StatisticsReader(open_file).load()
