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


def choose_sample(files: RangedFiles, episode_files: EpisodeFiles, columns: Sequence[str]) -> EpisodeSample:
    """Return the episodes whose numbers are read. Raise what pyarrow raises for a damaged file."""
    remaining_bytes = MOST_NUMBER_BYTES
    footers_by_path = dict[str, FileRange]()
    paths = dict[int, str]()
    for episode in order_evenly(episode_files.numbers.tolist())[:MOST_EPISODES]:
        if not (path := episode_files.find_data_file(episode)):
            continue
        if path not in footers_by_path:
            size = files.get_size(path)
            footer_range = (path, max(0, size - FEWEST_BYTES), size)
            if remaining_bytes - (size - footer_range[1]) < (MOST_NUMBER_BYTES // 2 if footer_range[1] else 0):
                break
            footers_by_path[path], remaining_bytes = footer_range, remaining_bytes - (size - footer_range[1])
        paths[episode] = path
    files.fetch(footers_by_path.values())
    tables = {path: _Table(files, path, columns) for path in footers_by_path}
    chosen_episodes = list[int]()
    chosen_ranges = dict[FileRange, None]()
    for episode, path in paths.items():
        new_parts = [file_range for file_range in tables[path].list_parts(episode) if file_range not in chosen_ranges]
        remaining_bytes -= sum(
            stop - start for path, start, stop in new_parts if not files.has_range((path, start, stop))
        )
        if remaining_bytes < 0:
            break
        chosen_episodes.append(episode)
        chosen_ranges |= dict.fromkeys(new_parts)
    return EpisodeSample(sorted(chosen_episodes), [*chosen_ranges])


class _Table:
    """The row groups of a file: whose episodes each has, and where its columns are."""

    def __init__(self, files: RangedFiles, path: str, columns: Sequence[str]) -> None:
        file = importlib.import_module("pyarrow.parquet").ParquetFile(files.open(path))
        row_groups = range(file.num_row_groups)
        limits = [find_limits(file, group_number) or (0, np.iinfo(np.int64).max) for group_number in row_groups]
        self._limits: Any = np.array(limits, np.int64).reshape(-1, 2)
        self._parts = [
            [*list_parts(file.metadata.row_group(group_number), path, columns)] for group_number in row_groups
        ]

    def list_parts(self, episode: int) -> list[FileRange]:
        """Return the parts of the file with an episode."""
        row_groups = np.flatnonzero((self._limits[:, 0] <= episode) & (episode <= self._limits[:, 1]))
        return [file_range for group_number in row_groups for file_range in self._parts[group_number]]


def order_evenly(numbers: Iterable[int]) -> list[int]:
    """Return values in another order: of each beginning of it, they are evenly spread."""
    ordered = [*numbers]
    digits = max(1, (len(ordered) - 1).bit_length())
    return [ordered[index] for index in sorted(range(len(ordered)), key=lambda index: f"{index:0{digits}b}"[::-1])]
