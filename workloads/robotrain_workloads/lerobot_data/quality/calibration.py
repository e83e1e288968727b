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
        action_motion = action - action.mean(axis=0)
        state_motion = state - state.mean(axis=0)
        motion_pairs = ((action_motion, action_motion), (state_motion, state_motion), (action_motion, state_motion))
        self._products = self._products + np.stack([(first * second).sum(axis=0) for first, second in motion_pairs])
        difference = (action - state) / self._extent
        velocity = np.gradient(state, axis=0)
        velocity_change = velocity - velocity.mean(axis=0)
        lag = (velocity_change * difference).sum(axis=0) / np.maximum((velocity_change**2).sum(axis=0), 1e-30)
        difference -= lag * velocity  # what is left would be there at rest
        # A grip holds with an offset while it is closed: what is meant is there at all times.
        low_difference, high_difference = np.quantile(difference, [0.1, 0.9], axis=0)
        constant = np.where(low_difference > 0, low_difference, np.where(high_difference < 0, high_difference, 0.0))
        self._episodes.append(episode)
        self._offsets.append(
            np.where(high_difference - low_difference < OFFSET, np.median(difference, axis=0), constant)
        )

    def list_findings(self) -> Iterator[DataFinding]:
        """Yield an offset of each joint that all episodes have, or some."""
        if not self._offsets:
            return
        offsets = self._offsets.matrix
        episodes = np.array(self._episodes)
        action_squares, state_squares, products = np.maximum(self._products, 1e-30)
        slope = products / action_squares
        is_following = (
            (products / np.sqrt(action_squares * state_squares) > FOLLOWS)
            & (slope > SAME_UNIT[0])
            & (slope < SAME_UNIT[1])
        )
        for joint in np.flatnonzero(is_following):
            name, extent = self._names[joint], self._extent[joint]
            if GRIP.search(name):
                continue
            usual_offset = float(np.median(offsets[:, joint]))
            is_off = np.abs(offsets[:, joint] - usual_offset) > OFFSET
            if abs(usual_offset) > OFFSET:
                finding_text = (
                    f"action and state of {name} differ by {usual_offset * extent:.3g} at rest, "
                    f"{abs(usual_offset):.0%} of its range"
                )
                yield make_data_finding("calibration-offset", finding_text, feature=name, number=usual_offset * extent)
            elif is_off.any() and is_off.mean() < 0.5:
                worst_row = int(np.abs(np.where(is_off, offsets[:, joint] - usual_offset, 0)).argmax())
                offset = float(offsets[worst_row, joint] * extent)
                finding_text = (
                    f"action and state of {name} differ by {offset:.3g} at rest in episode {episodes[worst_row]}"
                )
                finding_text += f", and by {usual_offset * extent:.3g} in most"
                yield make_data_finding(
                    "calibration-offset", finding_text, episodes[is_off], feature=name, number=offset
                )
