"""The offset between action and state at rest: a leader and a follower that were calibrated differently.

Only joints are compared whose state follows their action in the same unit.
"""

from collections.abc import Iterator

import numpy as np

from robotrain_workloads.lerobot_data.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data.quality.motion import Motion
from robotrain_workloads.lerobot_data.quality.recording import Array, Spread

FOLLOWS = 0.9
"""The least correlation of a state with its action."""
SAME_UNIT = (0.7, 1.4)
"""How much a state moves for a unit of its action."""
OFFSET = 0.08
"""Of the range: more is not the lag or the weight of an arm."""
FEWEST_FRAMES = 10
SLOW_PART = 0.3
"""The part of the frames that counts as rest."""


class Calibration:
    """The comparison of the actions with the states of all episodes."""

    def __init__(self, action: Spread, state: Spread, names: list[str]) -> None:
        self._extent, self._names = np.where(action.range > 0, action.range, np.inf), names
        self._action, self._state = action, state
        self._products: Array = 0.0
        self._count = 0
        self._episodes: list[int] = []
        self._offsets: list[Array] = []

    def add(self, episode: int, action: Array, state: Array, motion: Motion) -> None:
        """Look at the next episode: its numbers, and its motion."""
        if motion.length < FEWEST_FRAMES:
            return
        self._products = self._products + ((action - self._action.mean) * (state - self._state.mean)).sum(axis=0)
        self._count += len(action)
        speeds = np.abs(np.diff(motion.both, axis=0)).max(axis=1)
        is_slow = np.concatenate([[False], speeds <= np.quantile(speeds, SLOW_PART)])
        difference = (action - state)[is_slow] / self._extent
        # A grip holds with an offset while it is closed: what is meant is there at all times.
        low, high = np.quantile(difference, [0.1, 0.9], axis=0)
        constant = np.where(low > 0, low, np.where(high < 0, high, 0.0))
        self._episodes.append(episode)
        self._offsets.append(np.where(high - low < OFFSET, np.median(difference, axis=0), constant))

    def list_findings(self) -> Iterator[DataFinding]:
        """Yield an offset of each joint that all episodes have, or some."""
        if not self._offsets:
            return
        offsets, episodes = np.stack(self._offsets), np.array(self._episodes)
        covariance = self._products / self._count
        spread = self._action.std * self._state.std
        follows = covariance / np.where(spread > 0, spread, np.inf) > FOLLOWS
        slope = covariance / np.where(self._action.std > 0, self._action.std**2, np.inf)
        follows &= (slope > SAME_UNIT[0]) & (slope < SAME_UNIT[1])
        for joint in np.flatnonzero(follows):
            usual = float(np.median(offsets[:, joint]))
            is_off = np.abs(offsets[:, joint] - usual) > OFFSET
            name, extent = self._names[joint], self._extent[joint]
            if abs(usual) > OFFSET:
                text = (
                    f"action and state of {name} differ by {usual * extent:.3g} at rest, {abs(usual):.0%} of its range"
                )
                yield make_data_finding("calibration-offset", text, feature=name, number=usual * extent)
            elif is_off.any() and is_off.mean() < 0.5:
                worst = int(np.abs(np.where(is_off, offsets[:, joint] - usual, 0)).argmax())
                off = float(offsets[worst, joint] * extent)
                text = f"action and state of {name} differ by {off:.3g} at rest in episode {episodes[worst]}"
                text += f", and by {usual * extent:.3g} in most"
                yield make_data_finding("calibration-offset", text, episodes[is_off], feature=name, number=off)
