"""Numbers of some episodes in another unit than those of the others, such as degrees among radians."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from robotrain_workloads.lerobot_data.quality.episode_rows import EpisodeRows
from robotrain_workloads.lerobot_data.quality.joint_units import find_odd_episodes
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.recording import Array
from robotrain_workloads.lerobot_data_check.source_units import AGREED, FACTORS, GAP, NEAR_MOTION, NEAR_SIZE

NEAR = np.array([NEAR_SIZE, NEAR_MOTION])
"""How far the factor of an episode may be from one of `FACTORS`: of its numbers' size, and of their motion."""
MOVING_PART = 0.5
"""Of the episodes: a dimension that moves in fewer is not compared."""
FEWEST_DIMENSIONS, FEWEST_EPISODES = 2, 4


class UnitCheck:
    """The comparison of the sizes of an episode's numbers with those of the others."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self._names = names
        self._moments: dict[str, EpisodeRows] = {}
        """Of each episode the mean, the deviation and the unevenness of each dimension."""
        self._episodes: dict[str, list[int]] = {}

    def add(self, episode: int, feature: str, values: Array) -> None:
        """Look at the next episode: how large its numbers are, and how far they move."""
        float_values = values.astype(float)
        variance = float_values.var(axis=0)
        steps = (np.diff(float_values, axis=0) ** 2).mean(axis=0) if len(float_values) > 1 else variance
        moments = [float_values.mean(axis=0), np.sqrt(variance), steps / np.maximum(variance, 1e-30)]
        self._moments.setdefault(feature, EpisodeRows()).append(np.stack(moments).astype(np.float32))
        self._episodes.setdefault(feature, []).append(episode)

    def list_findings(self) -> Iterator[DataFinding]:
        """Yield each feature with episodes in another unit than that of most, or a dimension of it that is so."""
        moments = dict[str, Array]()
        findings = list[DataFinding]()
        for feature, moment_rows in self._moments.items():
            if len(moment_rows) < FEWEST_EPISODES:
                continue
            moments[feature] = moment_rows.matrix
            findings += self._compare_features(feature, moments[feature])
        yield from findings
        if findings or not moments:
            return
        feature = next(iter(moments))
        if (
            len({feature_moments.shape for feature_moments in moments.values()}) > 1
        ):  # action and state have other dimensions
            moments = {feature: moments[feature]}
        yield from find_odd_episodes(self._names[feature], self._episodes[feature], moments)

    def _compare_features(self, feature: str, moments: Array) -> Iterator[DataFinding]:
        mean, deviation, _ = moments.astype(float).swapaxes(0, 1)
        sizes_and_motions = np.stack([np.sqrt(mean**2 + deviation**2), deviation], axis=1)  # episodes, size and motion
        is_moving: Array = (sizes_and_motions > 0).all(axis=1)
        is_used: Array = is_moving.mean(axis=0) > MOVING_PART
        if is_used.sum() < FEWEST_DIMENSIONS:
            return
        rows = np.flatnonzero(is_moving[:, is_used].mean(axis=1) > MOVING_PART)
        if len(rows) < FEWEST_EPISODES:
            return
        is_compared = is_moving[rows][:, None, is_used]
        sizes = sizes_and_motions[rows][:, :, is_used]
        logs = np.log(sizes, where=is_compared & (sizes > 0), out=np.full(sizes.shape, np.nan))
        episodes = [self._episodes[feature][row] for row in rows]
        yield from self._compare(feature, episodes, logs - np.nanmedian(logs, axis=0))

    @staticmethod
    def _compare(feature: str, numbers: Sequence[int], logs: Array) -> Iterator[DataFinding]:
        levels = np.nanmedian(logs, axis=2)  # of episodes: by size, and by motion
        rows_by_level = np.argsort(levels[:, 0])
        gaps = [levels[higher_row, 0] - levels[lower_row, 0] for lower_row, higher_row in pairwise(rows_by_level)]
        split_index = int(np.argmax(gaps)) + 1
        if gaps[split_index - 1] < np.log(GAP):
            return
        small_rows, large_rows = rows_by_level[:split_index], rows_by_level[split_index:]
        level_differences = np.median(levels[large_rows], axis=0) - np.median(levels[small_rows], axis=0)
        likely_factors = [
            factor for factor in FACTORS if (np.abs(level_differences - np.log(factor)) < np.log(NEAR)).all()
        ]
        moving_dimensions = [~np.isnan(logs[group, 0]).all(axis=0) for group in (large_rows, small_rows)]
        common_logs = logs[:, :, moving_dimensions[0] & moving_dimensions[1]]  # dimensions that move in each group
        dimension_ratios = np.nanmedian(common_logs[large_rows], axis=0) - np.nanmedian(common_logs[small_rows], axis=0)
        if not likely_factors or np.median(np.abs(dimension_ratios - level_differences[:, None])) > AGREED:
            return
        factor = min(likely_factors, key=lambda candidate: abs(level_differences[0] - np.log(candidate)))
        is_larger = len(large_rows) <= len(small_rows)
        odd_rows = large_rows if is_larger else small_rows
        episodes = [numbers[row] for row in odd_rows]
        factor_text = f"about {factor:.3g} times" if is_larger else f"about 1/{factor:.3g} of"
        most_text = "the other half" if len(large_rows) == len(small_rows) else "most"
        finding_text = (
            f"the numbers of {feature} in episode {min(episodes)} are {factor_text} those of "
            f"{most_text}: {FACTORS[factor]}?"
        )
        yield make_data_finding("units-differ", finding_text, episodes, feature=feature, number=factor)
