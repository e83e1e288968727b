"""A sample of the episodes of a dataset that is elsewhere: as many, evenly spread, as cost so many bytes."""

import importlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from robotrain_workloads.lerobot_data_check.episode_files import EpisodeFiles, find_limits
from robotrain_workloads.lerobot_data_check.ranged_files import FEWEST_BYTES, FileRange, RangedFiles, list_parts

MOST_EPISODES, MOST_NUMBER_BYTES = 5000, 20_000_000
"""Of which the numbers are read; half of the bytes may be the ends of large files, which say where the numbers are."""


class EpisodeSample(NamedTuple):
    """Episodes of a dataset, and the parts of its files that hold their numbers."""

    episodes: Sequence[int]
    parts: Sequence[FileRange]


def choose_sample(files: RangedFiles, places: EpisodeFiles, columns: Sequence[str]) -> EpisodeSample:
    """Return the episodes whose numbers are read. Raise what pyarrow raises for a damaged file."""
    left = MOST_NUMBER_BYTES
    ends = dict[str, FileRange]()
    paths = dict[int, str]()
    for episode in order_evenly(places.numbers.tolist())[:MOST_EPISODES]:
        if not (path := places.find_data_file(episode)):
            continue
        if path not in ends:
            size = files.get_size(path)
            end = (path, max(0, size - FEWEST_BYTES), size)
            if left - (size - end[1]) < (MOST_NUMBER_BYTES // 2 if end[1] else 0):
                break
            ends[path], left = end, left - (size - end[1])
        paths[episode] = path
    files.fetch(ends.values())
    tables = {path: _Table(files, path, columns) for path in ends}
    chosen = list[int]()
    parts = dict[FileRange, None]()
    for episode, path in paths.items():
        new = [part for part in tables[path].list_parts(episode) if part not in parts]
        left -= sum(stop - start for path, start, stop in new if not files.has_range((path, start, stop)))
        if left < 0:
            break
        chosen.append(episode)
        parts |= dict.fromkeys(new)
    return EpisodeSample(sorted(chosen), [*parts])


class _Table:
    """The row groups of a file: whose episodes each has, and where its columns are."""

    def __init__(self, files: RangedFiles, path: str, columns: Sequence[str]) -> None:
        file = importlib.import_module("pyarrow.parquet").ParquetFile(files.open(path))
        groups = range(file.num_row_groups)
        limits = [find_limits(file, group) or (0, np.iinfo(np.int64).max) for group in groups]
        self._limits: Any = np.array(limits, np.int64).reshape(-1, 2)
        self._parts = [[*list_parts(file.metadata.row_group(group), path, columns)] for group in groups]

    def list_parts(self, episode: int) -> list[FileRange]:
        """Return the parts of the file with an episode."""
        groups = np.flatnonzero((self._limits[:, 0] <= episode) & (episode <= self._limits[:, 1]))
        return [part for group in groups for part in self._parts[group]]


def order_evenly(values: Iterable[int]) -> list[int]:
    """Return values in another order: of each beginning of it, they are evenly spread."""
    ordered = [*values]
    digits = max(1, (len(ordered) - 1).bit_length())
    return [ordered[index] for index in sorted(range(len(ordered)), key=lambda index: f"{index:0{digits}b}"[::-1])]
