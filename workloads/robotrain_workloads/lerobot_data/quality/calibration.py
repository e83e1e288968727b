"""The offset between action and state at rest: a leader and a follower that were calibrated differently.

Only joints are compared whose state follows their action in the same unit.
"""

import re
from collections.abc import Iterator

import numpy as np

from robotrain_workloads.lerobot_data.quality.episode_rows import EpisodeRows
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.recording import Array, Spread

FOLLOWS = 0.9
"""The least correlation of a state with its action."""
SAME_UNIT = (0.7, 1.4)
"""How much a state moves for a unit of its action."""
OFFSET = 0.08
"""Of the range: more is not the lag or the weight of an arm."""
FEWEST_FRAMES = 10
GRIP = re.compile("grip|finger|hand|claw|jaw", re.IGNORECASE)
"""What closes on something, and presses on."""


class Calibration:
    """The comparison of the actions with the states of all episodes."""

    def __init__(self, action: Spread, names: list[str]) -> None:
        self._extent, self._names = np.where(action.range > 0, action.range, np.inf), names
        self._products: Array = 0.0
        """The sums of squares of the action, of the state, and of both: each around its mean in the episode."""
        self._episodes: list[int] = []
        self._offsets = EpisodeRows()

    def add(self, episode: int, action: Array, state: Array) -> None:
        """Look at the next episode."""
        if len(action) < FEWEST_FRAMES:
            return
        moved = action - action.mean(axis=0)
        followed = state - state.mean(axis=0)
        pairs = ((moved, moved), (followed, followed), (moved, followed))
        self._products = self._products + np.stack([(first * other).sum(axis=0) for first, other in pairs])
        difference = (action - state) / self._extent
        velocity = np.gradient(state, axis=0)
        varied = velocity - velocity.mean(axis=0)
        lag = (varied * difference).sum(axis=0) / np.maximum((varied**2).sum(axis=0), 1e-30)
        difference -= lag * velocity  # what is left would be there at rest
        # A grip holds with an offset while it is closed: what is meant is there at all times.
        low, high = np.quantile(difference, [0.1, 0.9], axis=0)
        constant = np.where(low > 0, low, np.where(high < 0, high, 0.0))
        self._episodes.append(episode)
        self._offsets.append(np.where(high - low < OFFSET, np.median(difference, axis=0), constant))

    def list_findings(self) -> Iterator[DataFinding]:
        """Yield an offset of each joint that all episodes have, or some."""
        if not self._offsets:
            return
        offsets = self._offsets.matrix
        episodes = np.array(self._episodes)
        moved, followed, both = np.maximum(self._products, 1e-30)
        slope = both / moved
        follows = (both / np.sqrt(moved * followed) > FOLLOWS) & (slope > SAME_UNIT[0]) & (slope < SAME_UNIT[1])
        for joint in np.flatnonzero(follows):
            name, extent = self._names[joint], self._extent[joint]
            if GRIP.search(name):
                continue
            usual = float(np.median(offsets[:, joint]))
            is_off = np.abs(offsets[:, joint] - usual) > OFFSET
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
