"""A recorded dataset as the checks of quality read it: its tables, and the numbers of one episode after another."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data_check import table_files
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles
from robotrain_workloads.lerobot_data_check.episode_files import EpisodeFiles, list_groups
from robotrain_workloads.lerobot_data_check.number_statistics import NumberSums, convert_column
from robotrain_workloads.lerobot_data_check.ranged_files import RangedFiles
from robotrain_workloads.lerobot_data_check.remote_sample import EpisodeSample, choose_sample

ACTION, STATE, REWARD = "action", "observation.state", "next.reward"
NUMBER_PREFIXES = (ACTION, "observation.")
BATCH_ROWS = 20_000
FEWEST_VALUES, SMOOTH = 20, 0.5
MOST_SAMPLES = 50_000
"""Rows that the spread of a dimension is taken from."""

Array = Any
"""An array of numpy."""


class EpisodeNumbers(NamedTuple):
    """The numbers of an episode: of each feature, an array of frames by dimensions."""

    episode: int
    timestamps: Array
    values: Mapping[str, Array]
    reward: Array | None = None

    @property
    def length(self) -> int:
        """The number of frames."""
        return len(self.timestamps)


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


class RecordedDataset:
    """A dataset whose description is valid."""

    def __init__(self, files: DatasetFiles) -> None:
        self.files = files
        self.info = table_files.read_object(files, dataset.INFO_FILE.as_posix())
        self.features, self.fps = dataset.get_features(self.info), float(self.info["fps"])
        self.number_features = [
            name
            for name, feature in self.features.items()
            if name.startswith(NUMBER_PREFIXES) and dataset.NUMERIC_TYPES.fullmatch(str(feature.get("dtype")))
        ]
        self._has_reward = REWARD in self.features
        self.non_finite = dict[str, set[int]]()
        """By feature with a number that is not finite, the episodes; known with the spreads."""
        self.videos = [name for name, feature in self.features.items() if feature.get("dtype") == "video"]

    @cached_property
    def statistics(self) -> Mapping[str, Any]:
        """What meta/stats.json says; empty if it does not exist."""
        try:
            return table_files.read_object(self.files, dataset.STATISTICS_FILE)
        except table_files.UnreadableTable as error:
            if error.problem.code != "file-missing":
                raise
            return {}

    @cached_property
    def episodes(self) -> EpisodeFiles:
        """Its episodes, and where they are."""
        return EpisodeFiles(self.files, self.info)

    @cached_property
    def sample(self) -> EpisodeSample | None:
        """The episodes whose numbers are read of a dataset that is elsewhere; None for all."""
        files = self.files
        return choose_sample(files, self.episodes, self._columns) if isinstance(files, RangedFiles) else None

    @property
    def _columns(self) -> list[str]:
        return ["episode_index", "timestamp", *self.number_features, *([REWARD] * self._has_reward)]

    @property
    def numbered(self) -> Sequence[int]:
        """The episodes whose numbers are read."""
        return self.sample.episodes if self.sample else self.episodes.numbers.tolist()

    def fetch_numbers(self) -> Iterator[float]:
        """Fetch the numbers of a dataset that is elsewhere; yield how much is done, from 0 to 1."""
        if self.sample and isinstance(self.files, RangedFiles):
            yield from self.files.fetch_parts(self.sample.parts)

    def read_numbers(self) -> Iterator[EpisodeNumbers]:
        """Yield the numbers of each episode that is read, in the order of the files."""
        waiting_batches: list[dict[str, Array]] = []
        for batch in self._read_batches(self._columns):
            owners = batch["episode_index"][:, 0]
            cuts = [0, *(np.flatnonzero(np.diff(owners)) + 1).tolist(), len(owners)]
            for first_row, end_row in pairwise(cuts):
                if waiting_batches and waiting_batches[0]["episode_index"][0, 0] != owners[first_row]:
                    yield self._join(waiting_batches)
                    waiting_batches = []
                waiting_batches.append(
                    {name: column_values[first_row:end_row] for name, column_values in batch.items()}
                )
        if waiting_batches:
            yield self._join(waiting_batches)

    def _read_batches(self, columns: Sequence[str]) -> Iterator[dict[str, Array]]:
        wanted_episodes = self.sample and {*self.sample.episodes}
        for path in (
            self.episodes.list_data_files(wanted_episodes) if wanted_episodes or wanted_episodes is None else ()
        ):
            file = table_files.open_table(self.files, path)
            for row_groups in list_groups(file, wanted_episodes):
                for batch in table_files.read_batches(file, path, BATCH_ROWS, columns, row_groups):
                    arrays = {name: convert_column(batch.column(name), batch.num_rows) for name in columns}
                    if wanted_episodes is not None:
                        is_wanted = np.isin(arrays["episode_index"][:, 0], [*wanted_episodes])
                        arrays = {name: column_values[is_wanted] for name, column_values in arrays.items()}
                    if len(arrays["episode_index"]):
                        yield arrays

    @staticmethod
    def _join(parts: Sequence[Mapping[str, Array]]) -> EpisodeNumbers:
        joined_columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        episode = int(joined_columns.pop("episode_index")[0, 0])
        timestamps = joined_columns.pop("timestamp")[:, 0]
        return EpisodeNumbers(episode, timestamps, joined_columns, joined_columns.pop(REWARD, None))

    @cached_property
    def spreads(self) -> Mapping[str, Spread]:
        """The spread of each feature with numbers, of all finite frames."""
        total = int(self.episodes.lengths[np.isin(self.episodes.numbers, self.numbered)].sum())
        sums = {name: _SpreadSum(max(1, math.ceil(total / MOST_SAMPLES))) for name in self.number_features}
        for episode_numbers in self.read_numbers():
            if episode_numbers.reward is not None and not np.isfinite(episode_numbers.reward).all():
                self.non_finite.setdefault(REWARD, set()).add(episode_numbers.episode)
            for name, feature_values in episode_numbers.values.items():
                is_finite = np.isfinite(feature_values).all(axis=1)
                sums[name].add(feature_values[is_finite])
                if not is_finite.all():
                    self.non_finite.setdefault(name, set()).add(episode_numbers.episode)
        return {name: spread.compute() for name, spread in sums.items() if spread.count}


class _SpreadSum(NumberSums):
    """The sums that a spread is computed from; every `stride`th row is kept for quantiles."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self._stride, self._rows = stride, list[Array]()
        self._steps: Array = 0.0
        self._step_count = 0

    def add(self, values: Array) -> None:
        if not len(values):
            return
        self._rows.append(values[-self.count % self._stride :: self._stride].copy())  # not the whole array
        super().add(values)
        self._steps = self._steps + (np.diff(values, axis=0) ** 2).sum(axis=0)
        self._step_count += len(values) - 1

    def compute(self) -> Spread:
        rows, std = np.concatenate(self._rows), self.std
        q01, q99 = np.quantile(rows, [0.01, 0.99], axis=0)
        steps = self._steps / max(self._step_count, 1) / np.where(std > 0, std**2, 1.0)
        distinct_counts = np.array([len(np.unique(column)) for column in rows[:2000].T])
        return Spread(self.count, self.mean, std, self.min, self.max, q01, q99, steps, distinct_counts, rows)
