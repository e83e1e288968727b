"""The question `tables`: whether the tables of a dataset agree, and what it holds."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from robotrain_runtime.contract.problem import summarize_problem

from robotrain_workloads.lerobot import dataset, episode_numbers
from robotrain_workloads.lerobot_data.quality import episode_lengths, frame_gaps
from robotrain_workloads.lerobot_data_check import dataset_tables, table_files
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles, LocalFiles
from robotrain_workloads.lerobot_data_check.episode_files import EpisodeFiles
from robotrain_workloads.lerobot_data_check.episode_tables import find_episode_problems, read_episodes
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.ranged_files import MOST_COLUMN_BYTES, RangedFiles
from robotrain_workloads.lerobot_data_check.table_files import (
    DATA_FILES,
    UnreadableTable,
    open_table,
    read_batches,
)

RATED_ROWS = 1000
"""Frames whose timestamps are looked at for their rate."""


def answer_question(
    files: DatasetFiles, options: Mapping[str, Any], progress: Callable[[int, int], None]
) -> Iterator[DataFinding | Mapping[str, Any]]:
    """Yield what is wrong with the description and the tables, with the size of the dataset and what helps.

    Options: `tolerance` in seconds, the numbers `episodes` that are read, as text those that are not (`excluded`),
    `allow_non_finite`, features that are read (`reads`) or normalized by stored `quantiles`, and `converts` for a
    dataset that will be converted from v2.1. Only with `warns`, what the same tables show that makes a policy worse.
    """
    problems = _find_description_problems(files, converts=bool(options.get("converts")))
    if problems:
        yield from (make_data_finding("description-invalid", problem_text) for problem_text in problems)
        return
    info = table_files.read_object(files, dataset.INFO_FILE.as_posix())
    yield {
        "episodes": int(info["total_episodes"]),
        "frames": int(info["total_frames"]),
        "cameras": len(dataset.list_cameras(info)),
        "converts": dataset.is_convertible(info),
    }
    chosen_episodes = options.get("episodes")
    ways = list[str]()
    if options.get("excluded"):
        try:
            chosen_episodes = episode_numbers.leave_out(
                options["excluded"], int(info["total_episodes"]), chosen_episodes
            )
        except ValueError as error:
            yield {"refused": str(error)}
            return
    if dataset.is_convertible(info) and isinstance(files, RangedFiles) and not _fetch_tables(files):
        disagreements = _compare_metadata(files, info)
    else:
        disagreements = dataset_tables.list_table_problems(
            files,
            options.get("tolerance"),
            None if chosen_episodes is None else {*chosen_episodes},
            allow_non_finite=bool(options.get("allow_non_finite")),
            reads=options.get("reads", ()),
            quantiles=options.get("quantiles", ()) if isinstance(files, LocalFiles) else (),  # else the run compares
        )
    for problem in disagreements:
        yield problem
        ways += [problem.suggestion] if problem.suggestion else []
    yield {"ways": ways}
    if options.get("warns") and not disagreements:
        episode_files = EpisodeFiles(files, info)
        kept_episodes = (
            np.arange(len(episode_files.lengths)) if chosen_episodes is None else np.array(sorted(chosen_episodes), int)
        )
        tasks = {episode: episode_files.first_tasks[episode] for episode in kept_episodes.tolist()}
        yield from episode_lengths.find_short_episodes(episode_files.lengths, float(info["fps"]), kept_episodes)
        yield from episode_lengths.find_empty_tasks(tasks, episode_files.task_texts)
        yield from _find_other_rate(files, float(info["fps"]))


def _find_other_rate(files: DatasetFiles, fps: float) -> Iterator[DataFinding]:
    """Yield whether the first timestamps have other frames per second than the description."""
    path = files.list_files(DATA_FILES)[0]
    batches = read_batches(open_table(files, path), path, RATED_ROWS, ["timestamp"], [0])
    if (batch := next(batches, None)) is not None:
        yield from frame_gaps.find_other_rate(batch.column("timestamp").to_numpy(zero_copy_only=False), fps)


def _fetch_tables(files: RangedFiles) -> bool:
    """Return whether the files of data/ are few enough bytes to read all of them, which is done at once."""
    ranges = [(path, 0, files.get_size(path)) for path in files.list_files(DATA_FILES)]
    is_small = sum(size for *_, size in ranges) <= MOST_COLUMN_BYTES
    if is_small:
        files.fetch(ranges)
    return is_small


def _compare_metadata(files: RangedFiles, info: Mapping[str, Any]) -> list[DataFinding]:
    """Return how episodes are not all there, without a look at their frames, which the run compares."""
    try:
        return [*find_episode_problems(info, read_episodes(files, info))]
    except UnreadableTable as error:
        return [error.problem]


def _find_description_problems(files: DatasetFiles, *, converts: bool) -> list[str]:
    """Return why the description is not one of a dataset, or names files that are not there."""
    if isinstance(files, LocalFiles):
        return _list_sentences(files.root, files.name, converts=converts, description_only=False)
    with TemporaryDirectory(prefix="robotrain-") as folder:
        for path in (str(dataset.INFO_FILE), dataset.STATISTICS_FILE):
            if path in files.list_files(path):
                (Path(folder) / path).parent.mkdir(exist_ok=True)
                (Path(folder) / path).write_bytes(files.read(path))
        return _list_sentences(Path(folder), files.name, converts=converts, description_only=True)


def _list_sentences(folder: Path, name: str, *, converts: bool, description_only: bool) -> list[str]:
    return [
        summarize_problem(problem).rstrip(".").replace(f"{folder}/", "")
        for problem in dataset.find_dataset_problems(folder, name, convert=converts, description_only=description_only)
    ]
