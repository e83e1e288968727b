"""The motion of an episode: its actions and states, in parts of what each dimension moves through."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from robotrain_workloads.lerobot_data_check.recording import ACTION, STATE, Array, EpisodeNumbers, Spread


class Motion(NamedTuple):
    """Actions and states of an episode; 1 is the range of a dimension, and one that never moves is 0."""

    episode: int
    action: Array
    state: Array
    """Frames by dimensions; no dimensions where the dataset has none."""
    both: Array
    continuous: Array
    """Of actions and states, the dimensions that are smooth (`Spread.is_smooth`)."""
    physical: Array
    """Of these what cannot jump: the state, or the action where there is none."""
    rows: Array
    """All numbers of each frame as they are, to compare frames with one another."""
    is_repeated: Array
    """Of each frame, whether it has the numbers of the one before."""

    @property
    def length(self) -> int:
        """The number of frames."""
        return len(self.rows)


def make_motion(numbers: EpisodeNumbers, spreads: Mapping[str, Spread]) -> Motion:
    """Return the motion of an episode with finite numbers."""
    action, state = (_scale(numbers, spreads, name) for name in (ACTION, STATE))
    rows = np.concatenate([*numbers.values.values()], axis=1) if numbers.values else np.zeros((numbers.length, 0))
    is_repeated = np.concatenate([[False], (rows[1:] == rows[:-1]).all(axis=1)])
    both = np.concatenate([action, state], axis=1)
    continuous = [
        values[:, spreads[name].is_smooth] if values.shape[1] else values
        for name, values in ((ACTION, action), (STATE, state))
    ]
    physical = continuous[1] if continuous[1].shape[1] else continuous[0]
    return Motion(numbers.episode, action, state, both, np.concatenate(continuous, axis=1), physical, rows, is_repeated)


def _scale(numbers: EpisodeNumbers, spreads: Mapping[str, Spread], name: str) -> Array:
    values = numbers.values.get(name)
    spread = spreads.get(name)
    if values is None or spread is None:
        return np.zeros((numbers.length, 0))
    extent = spread.range
    return (values - spread.mean) / np.where(extent > 0, extent, np.inf)


def find_runs(is_true: Array) -> list[tuple[int, int]]:
    """Return where each run of true values begins and ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_true, [False]]).astype(np.int8)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]
