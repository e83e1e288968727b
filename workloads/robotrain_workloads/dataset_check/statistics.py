"""Statistics of a dataset's numbers: those that LeRobot normalizes with, and the spread that checks compare with.

LeRobot averages the quantiles of episodes when it records, and those of datasets when it merges: such a value is not a
quantile of the frames.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robotrain_workloads.dataset_check import table_files
from robotrain_workloads.dataset_check.table_files import Array

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
"""By LeRobot's name."""
MOST_SAMPLES = 50_000
"""Rows that the quantiles of a spread are taken from."""
FEWEST_VALUES, SMOOTH = 20, 0.5


@dataclass(frozen=True)
class Spread:
    """The spread of a feature in the whole dataset, a number a dimension."""

    count: int
    mean: Array
    std: Array
    min: Array
    max: Array
    q01: Array
    q99: Array
    unevenness: Array
    """The mean square of a step from frame to frame, in variances: 2 for noise, near 0 for motion."""
    distinct: Array
    """How many values a sample has: 2 for an open or closed gripper."""
    sample: Array
    """Evenly spread rows."""

    @property
    def range(self) -> Array:
        """What a dimension usually moves through: without outliers, where there are some."""
        return np.where(self.q99 > self.q01, self.q99 - self.q01, self.max - self.min)

    @property
    def is_smooth(self) -> Array:
        """Which dimensions move continuously: no gripper that is open or closed, and no noise."""
        return (self.distinct >= FEWEST_VALUES) & (self.unevenness < SMOOTH)


def measure_spread(values: Array, is_first: Array) -> Spread | None:
    """Return the spread of rows of numbers, of those that are finite; `is_first` says where episodes begin."""
    is_finite = np.isfinite(values).all(axis=1)
    rows = values if is_finite.all() else values[is_finite]
    if not len(rows):
        return None
    std = rows.std(axis=0, dtype=float)
    is_step = is_finite[1:] & is_finite[:-1] & ~is_first[1:]
    squares = np.zeros(values.shape[1])
    for dimension in range(values.shape[1]):  # of one at a time, to need little memory
        squares[dimension] = (
            (np.diff(values[:, dimension])[is_step].astype(float) ** 2).mean() if is_step.any() else 0.0
        )
    sample = rows[:: max(1, -(-len(rows) // MOST_SAMPLES))].astype(float)
    q01, q99 = np.quantile(sample, [0.01, 0.99], axis=0)
    distinct = np.array([len(np.unique(column)) for column in sample[:2000].T])
    unevenness = squares / np.where(std > 0, std**2, 1.0)
    low, high = rows.min(axis=0).astype(float), rows.max(axis=0).astype(float)
    return Spread(len(rows), rows.mean(axis=0, dtype=float), std, low, high, q01, q99, unevenness, distinct, sample)


def compute_statistics(dimensions: Iterable[Array]) -> dict[str, Array]:
    """Return the statistics of numbers by LeRobot's names, of 64 bits, given the finite numbers of each dimension."""
    columns = list[dict[str, float]]()
    count = 0
    for dimension in dimensions:
        values, count = dimension.astype(float), len(dimension)
        if not count:
            return {}
        moments = {"min": values.min(), "max": values.max(), "mean": values.mean(), "std": values.std()}
        quantiles = np.quantile(values, [*QUANTILES.values()], overwrite_input=True)
        columns.append({**moments, **dict(zip(QUANTILES, quantiles, strict=True))})
    names = columns[0] if columns else ()
    return {**{name: np.array([column[name] for column in columns]) for name in names}, "count": np.array([count])}


def read_rows(root: Path, column: str, chosen: Collection[int] | None, size: int) -> tuple[Array, Array]:
    """Return the rows of a column of numbers in data/, and the episode of each. Raise table_files.Unreadable.

    :param chosen: the episodes that are read; None for all.
    """
    parts, owners = list[Array](), list[Array]()
    for path in table_files.list_files(root, table_files.DATA_FILES):
        for batch in table_files.read_batches(table_files.open_table(root, path), path, ["episode_index", column]):
            episodes = batch.column("episode_index").to_numpy(zero_copy_only=False)
            is_used = np.ones(len(episodes), bool) if chosen is None else np.isin(episodes, [*chosen])
            parts.append(table_files.to_numbers(batch.column(column), size, dtype=None)[0][is_used])
            owners.append(episodes[is_used])
    return np.concatenate(parts), np.concatenate(owners)
