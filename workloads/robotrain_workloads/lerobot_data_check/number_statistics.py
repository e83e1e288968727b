"""Statistics of the numbers in a dataset's columns: those that LeRobot normalizes with, of all frames.

LeRobot averages the quantiles of episodes when it records, and those of datasets when it merges: such a value is not a
quantile of the frames.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import numpy as np

from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles
from robotrain_workloads.lerobot_data_check.table_files import BATCH_ROWS, DATA_FILES, open_table, read_batches

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
"""By LeRobot's name."""
MOST_EXACT = 10_000_000
"""Values whose quantiles are exact; of more, they are counted in bins."""
BINS = 10_000
"""Of a dimension's range: a quantile is off by less than two of them."""

MOST_OUTSIDE = 0.05
"""The part of frames outside of q01 to q99 from which on these are not quantiles; by right it is 0.02."""
MARGIN = 1e-3
"""Of a dimension's range: LeRobot counts values in bins, so that a quantile may be beside the values that it is of."""

Array = Any
"""An array of numpy."""


class NumberSums:
    """What mean, deviation and limits of rows are computed from, a number a dimension; rows are added in parts."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Array = 0.0
        self.min: Array = np.inf
        self.max: Array = -np.inf
        self._squares: Array = 0.0

    def add(self, values: Array) -> None:
        """Add rows of finite numbers: an array of rows by dimensions, of 64 bits."""
        if not len(values):
            return
        mean = values.mean(axis=0)
        count = self.count + len(values)
        mean_difference = mean - self.mean
        self._squares = self._squares + ((values - mean) ** 2).sum(axis=0)
        self._squares = self._squares + mean_difference**2 * (self.count * len(values) / count)
        self.mean, self.count = self.mean + mean_difference * (len(values) / count), count
        self.min = np.minimum(self.min, values.min(axis=0))
        self.max = np.maximum(self.max, values.max(axis=0))

    @property
    def std(self) -> Array:
        """The standard deviation of the rows themselves, as LeRobot has it."""
        return np.sqrt(self._squares / self.count)


def compute_statistics(read: Callable[[], Iterable[Array]]) -> dict[str, Array]:
    """Return the statistics of rows by LeRobot's names, of 64 bits; empty without a row of finite numbers.

    :param read: return the rows, in parts; they are read twice if there are more values than `MOST_EXACT`.
    """
    sums = NumberSums()
    rows = list[Array]()
    for batch_rows in _keep_finite(read()):
        sums.add(batch_rows)
        if sums.count * batch_rows.shape[1] <= MOST_EXACT:
            rows.append(batch_rows)
        else:
            rows.clear()
    if not sums.count:
        return {}
    if rows:
        quantiles = np.quantile(np.concatenate(rows), [*QUANTILES.values()], axis=0)
    else:
        quantiles = _estimate_quantiles(_keep_finite(read()), sums)
    return {
        **{"min": sums.min, "max": sums.max, "mean": sums.mean, "std": sums.std, "count": np.array([sums.count])},
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


def _keep_finite(row_batches: Iterable[Array]) -> Iterator[Array]:
    for rows in row_batches:
        yield rows[np.isfinite(rows).all(axis=1)]


def _estimate_quantiles(row_batches: Iterable[Array], sums: NumberSums) -> Array:
    """Return the quantiles by how many values are in each of the bins that a dimension's range is divided into."""
    extent = sums.max - sums.min
    width = np.where(extent > 0, extent, 1.0) / BINS
    dimensions = np.arange(len(extent))
    counts = np.zeros(len(extent) * BINS, int)
    for rows in row_batches:
        bins = np.minimum((rows - sums.min) / width, BINS - 1).astype(int)
        counts += np.bincount((bins + dimensions * BINS).ravel(), minlength=len(counts))
    cumulative_counts = counts.reshape(-1, BINS).cumsum(axis=1)

    def find_value(rank: int) -> Array:
        """Return the middle of the bins with the values that so many are smaller than."""
        bins = np.array([np.searchsorted(end, rank, "right") for end in cumulative_counts])
        return np.minimum(sums.min + (bins + 0.5) * width, sums.max)

    quantiles = []
    for quantile in QUANTILES.values():  # between two values as numpy does, which may be far from each other
        rank, rank_fraction = divmod(quantile * (sums.count - 1), 1)
        low_value = find_value(int(rank))
        high_value = find_value(min(int(rank) + 1, sums.count - 1))
        quantiles.append(low_value + (high_value - low_value) * rank_fraction)
    return np.array(quantiles)


def is_outside(rows: Array, low_quantile: Array, high_quantile: Array, extent: Array) -> Array:
    """Return which values of rows are outside of q01 to q99.

    :param extent: the range of each dimension.
    """
    return (rows < low_quantile - MARGIN * extent) | (rows > high_quantile + MARGIN * extent)


def describe_outside(name: str, low_quantile: float, high_quantile: float, outside_part: float) -> str:
    """Return a sentence about quantiles that are none, of a dimension."""
    stored_text = f"meta/stats.json says that 98 % of {name} are from {low_quantile:.6g} to {high_quantile:.6g}"
    return f"{stored_text}, and {100 * outside_part:.0f} % of its frames are outside"


def read_rows(files: DatasetFiles, column: str, chosen: Collection[int] | None = None) -> Iterator[tuple[Array, Array]]:
    """Yield the rows of a column of numbers in data/, with the episode of each. Raise UnreadableTable, ValueError.

    :param chosen: the episodes that are read; None for all.
    """
    wanted_episodes = None if chosen is None else np.array([*chosen], int)
    for path in files.list_files(DATA_FILES):
        for batch in read_batches(open_table(files, path), path, BATCH_ROWS, ["episode_index", column]):
            owners = batch.column("episode_index").to_numpy(zero_copy_only=False)
            rows = convert_column(batch.column(column), batch.num_rows)
            if wanted_episodes is not None:
                is_wanted = np.isin(owners, wanted_episodes)
                owners, rows = owners[is_wanted], rows[is_wanted]
            yield owners, rows


def convert_column(column: Any, rows: int) -> Array:
    """Return a column of numbers, or of lists of numbers of one length, as rows of numbers; what is null is NaN.

    Raise ValueError for lists of other lengths.
    """
    is_list = hasattr(column.type, "value_type")
    has_values = np.asarray(column.is_valid()).astype(bool) if is_list else np.ones(rows, dtype=bool)
    while hasattr(column.type, "value_type"):
        column = column.flatten()
    valid_numbers = np.asarray(column.to_numpy(zero_copy_only=False)).astype(np.float64)
    valid_numbers = valid_numbers.reshape(np.count_nonzero(has_values), -1)
    row_numbers = np.full((rows, valid_numbers.shape[1]), np.nan)
    row_numbers[has_values] = valid_numbers
    return row_numbers
