"""The numbers of all sampled episodes, in parts of what each dimension moves through."""

import re
from functools import cached_property
from typing import Any

import numpy as np

from robotrain_workloads.dataset_check.findings import Span
from robotrain_workloads.dataset_check.load import ACTION, REWARD, STATE, Recorded
from robotrain_workloads.dataset_check.statistics import measure_spread
from robotrain_workloads.dataset_check.table_files import Array

STILL = 0.012
"""How far a robot at rest moves, of a dimension's range: noise of sensors."""
SETTLING = 5
"""Frames whose median is the pose at rest."""
GRIP = re.compile("grip|finger|hand|claw|jaw", re.IGNORECASE)
"""What closes on something, and presses on."""


class Motion:
    """The numbers of all sampled episodes, in parts of what each dimension moves through."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded, self.fps = recorded, recorded.fps
        self.episodes = recorded.sampled
        self.lengths = recorded.lengths[recorded.sampled]
        self.ends = np.cumsum(self.lengths)
        self.starts = self.ends - self.lengths
        self.row_count = int(self.lengths.sum())
        self.owners = np.repeat(np.arange(len(self.lengths), dtype=np.int32), self.lengths)
        """The place of each row's episode among the sampled ones."""
        self.frames = np.arange(self.row_count) - self.starts[self.owners]
        is_first = self.frames == 0
        self.spreads = {
            name: spread
            for name, values in recorded.numbers.items()
            if name.startswith(("action", "observation.")) and (spread := measure_spread(values, is_first))
        }
        self.names = {name: recorded.name_dimensions(name) for name in self.spreads}
        owners = recorded.frames["episode"].to_numpy()
        wrong = [owners[rows] for name, _, rows in recorded.wrong_values if name != REWARD]
        self.is_good = np.isin(self.episodes, recorded.kept) & ~np.isin(self.episodes, np.concatenate([*wrong, []]))
        """Which episodes are kept and have finite numbers."""
        self.is_finite = np.isfinite(
            self.reduce(
                np.add,
                sum(
                    (values.sum(axis=1) for name, values in recorded.numbers.items() if name in (ACTION, STATE)),
                    np.zeros(self.row_count),
                ),
            )
        )
        self.joints = self.names.get(STATE, self.names.get(ACTION, []))

    def get_scaled(self, name: str) -> Array:
        """Return a feature so that 1 is the range of a dimension, and one that never moves is 0."""
        spread = self.spreads.get(name)
        if spread is None:
            return np.zeros((self.row_count, 0), np.float32)
        extent = np.where(spread.range > 0, spread.range, np.inf)
        return (self.recorded.numbers[name] - spread.mean.astype(np.float32)) / extent.astype(np.float32)

    @cached_property
    def both(self) -> Array:
        """Actions and states."""
        return np.concatenate([self.get_scaled(ACTION), self.get_scaled(STATE)], axis=1)

    @property
    def action(self) -> Array:
        """Frames by dimensions; no dimensions where the dataset has none."""
        return self.both[:, : len(self.names.get(ACTION, ()))]

    @property
    def state(self) -> Array:
        """As the action."""
        return self.both[:, len(self.names.get(ACTION, ())) :]

    @cached_property
    def is_smooth(self) -> Array:
        """Which dimensions of actions and states move continuously."""
        return np.concatenate(
            [self.spreads[name].is_smooth for name in (ACTION, STATE) if name in self.spreads] or [[]]
        ).astype(bool)

    @cached_property
    def physical(self) -> Array:
        """What cannot jump: the smooth dimensions of the state, or of the action where there is none."""
        is_smooth = self.is_smooth[self.action.shape[1] :]
        return self.state[:, is_smooth] if is_smooth.any() else self.both[:, self.is_smooth]

    @cached_property
    def is_repeated(self) -> Array:
        """Of each row, whether it has the numbers of the one before."""
        is_repeated = self.frames > 0
        for name in self.spreads:
            values = self.recorded.numbers[name]
            is_repeated[1:] &= (values[1:] == values[:-1]).all(axis=1)
        return is_repeated

    @property
    def is_comparable(self) -> bool:
        """Whether each dimension of the action has one of the state."""
        return ACTION in self.spreads and STATE in self.spreads and self.action.shape == self.state.shape

    def reduce(self, function: Any, values: Array) -> Array:
        """Return one row an episode: `np.add`, `np.minimum` or `np.maximum` of its rows."""
        return function.reduceat(values, self.starts, axis=0)

    def measure_range(self, values: Array) -> Array:
        """Return how far the values of each episode are from each other."""
        return self.reduce(np.maximum, values) - self.reduce(np.minimum, values)

    def count_still(self, *, at_end: bool = False) -> Array:
        """Return how many frames at the beginning or end of each episode are as the first ones."""
        places = np.minimum(np.arange(SETTLING), self.lengths[:, None] - 1)
        pose = np.median(
            self.both[(self.ends[:, None] - 1 - places) if at_end else (self.starts[:, None] + places)], axis=1
        )
        has_moved = np.zeros(self.row_count, bool)
        for dimension in range(self.both.shape[1]):
            has_moved |= np.abs(self.both[:, dimension] - pose[self.owners, dimension]) > STILL
        places = self.lengths[self.owners] - 1 - self.frames if at_end else self.frames
        return self.reduce(np.minimum, np.where(has_moved, places, self.lengths[self.owners]))

    def get_path(self, episode: int) -> Array | None:
        """Return how far the robot moved until each frame of an episode; None if its numbers were not read."""
        places = np.flatnonzero(self.is_good & (self.episodes == episode))
        if not self.both.shape[1] or not len(places):
            return None
        place = places[0]
        steps = np.abs(np.diff(self.both[self.starts[place] : self.ends[place]], axis=0)).max(axis=1)
        return np.concatenate([[0], np.cumsum(steps)])

    def list_spans(self, rows: Array) -> list[Span]:
        """Return episodes, by their place among the sampled ones, as whole spans."""
        return [(int(self.episodes[row]), 0, int(self.lengths[row])) for row in rows]


def find_runs(is_true: Array) -> Array:
    """Return where each run of true values begins and ends."""
    return np.flatnonzero(np.diff(np.concatenate([[False], is_true, [False]]).astype(np.int8))).reshape(-1, 2)


def take_quantile(values: Array, part: float) -> Array:
    """Return the value of each dimension that so many rows are below, without values between."""
    place = round(part * (len(values) - 1))
    return np.partition(values, place, axis=0)[place]
