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


def make_motion(episode_numbers: EpisodeNumbers, spreads: Mapping[str, Spread]) -> Motion:
    """Return the motion of an episode with finite numbers."""
    action, state = (_scale(episode_numbers, spreads, name) for name in (ACTION, STATE))
    rows = (
        np.concatenate([*episode_numbers.values.values()], axis=1)
        if episode_numbers.values
        else np.zeros((episode_numbers.length, 0))
    )
    is_repeated = np.concatenate([[False], (rows[1:] == rows[:-1]).all(axis=1)])
    both_features = np.concatenate([action, state], axis=1)
    continuous_parts = [
        feature_values[:, spreads[name].is_smooth] if feature_values.shape[1] else feature_values
        for name, feature_values in ((ACTION, action), (STATE, state))
    ]
    physical_numbers = continuous_parts[1] if continuous_parts[1].shape[1] else continuous_parts[0]
    return Motion(
        episode_numbers.episode,
        action,
        state,
        both_features,
        np.concatenate(continuous_parts, axis=1),
        physical_numbers,
        rows,
        is_repeated,
    )


def _scale(numbers: EpisodeNumbers, spreads: Mapping[str, Spread], name: str) -> Array:
    feature_values = numbers.values.get(name)
    spread = spreads.get(name)
    if feature_values is None or spread is None:
        return np.zeros((numbers.length, 0))
    extent = spread.range
    return (feature_values - spread.mean) / np.where(extent > 0, extent, np.inf)


def find_runs(is_true: Array) -> list[tuple[int, int]]:
    """Return where each run of true values begins and ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_true, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
