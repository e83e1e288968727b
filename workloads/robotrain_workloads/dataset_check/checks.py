"""All checks of a dataset, stage by stage: its tables and files, then its numbers, then its pictures."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robotrain_workloads.dataset_check import (
    cameras,
    following,
    gaps,
    load,
    numbers,
    stored_statistics,
    tables,
    units,
    videos,
)
from robotrain_workloads.dataset_check.findings import Finding, Findings, make_finding
from robotrain_workloads.dataset_check.load import ACTION, STATE, Recorded, Training
from robotrain_workloads.dataset_check.motion import Motion
from robotrain_workloads.dataset_check.picture_sample import SampledPictures
from robotrain_workloads.dataset_check.table_files import Unreadable

TABLE_CHECKS: tuple[Callable[[Recorded], Findings], ...] = (
    tables.find_episode_problems,
    tables.find_read_problems,
    tables.find_frame_problems,
    tables.find_time_problems,
    tables.find_task_problems,
    tables.find_value_problems,
    stored_statistics.find_quantile_problems,
    videos.find_video_problems,
    videos.find_picture_problems,
)
NUMBER_CHECKS: tuple[Callable[[Motion], Findings], ...] = (
    numbers.find_lengths,
    numbers.find_non_finite,
    numbers.find_idle_ends,
    gaps.find_gaps,
    numbers.find_dimension_problems,
    stored_statistics.find_statistics_problems,
    numbers.find_repeats,
    following.find_following_problems,
    numbers.find_offsets,
    units.find_other_units,
)
FEWEST_BRIGHT = 20
"""Episodes of which pictures were seen, before statistics of cameras are doubted."""

Progress = Callable[[int, int], object]
"""Takes how much is done, and of how much."""


def check_tables(root: Path, training: Training, *, has_videos: bool = True) -> tuple[Recorded | None, list[Finding]]:
    """Return a dataset whose description is valid, if its tables can be read, and how they do not agree."""
    try:
        recorded = load.load(root, training)
        recorded.has_videos = has_videos
        return recorded, [finding for check in TABLE_CHECKS for finding in check(recorded)]
    except Unreadable as error:
        return None, [error.finding]
    except OSError as error:
        return None, [make_finding("file-unreadable", f"the tables of {root} cannot be read: {error}")]


def check_quality(
    recorded: Recorded, progress: Progress, *, decodes_all: bool = False
) -> Iterator[Finding | Mapping[str, Any]]:
    """Yield what makes a policy worse that is trained on a dataset whose tables agree, and what was looked at."""
    motion = Motion(recorded)
    compared = {name: motion.spreads[name] for name in (ACTION, STATE) if name in motion.spreads}
    statistics = {name: {"mean": spread.mean.tolist(), "std": spread.std.tolist()} for name, spread in compared.items()}
    yield {"statistics": statistics}
    for done, check in enumerate(NUMBER_CHECKS, 1):
        yield from check(motion)
        progress(done * 30 // len(NUMBER_CHECKS), 100)
    measured = following.measure_following(motion)
    if measured and measured.lag is not None:
        yield {"state_lag": round(measured.lag, 1)}
    if recorded.has_videos:
        yield from videos.find_rate_problems(recorded)
        yield from videos.find_uneven_videos(recorded)
    sampled = SampledPictures(recorded, decodes_all=decodes_all)
    sampled.read(lambda done, total: progress(30 + 70 * done // max(1, total), 100))
    yield from sampled.damaged.list_findings()
    yield from cameras.find_camera_problems(sampled.samples, motion, {*numbers.find_copies(motion)["copy"]})
    if len(sampled.episodes) >= min(len(recorded.kept), FEWEST_BRIGHT):
        yield from cameras.find_brightness_problems(sampled.samples, motion)
    yield {"numbered_episodes": len(recorded.sampled)}
    if sampled.cameras:
        yield {"pictured_episodes": len(sampled.episodes) + len(recorded.episodes) - len(recorded.kept)}
    pictures = int(recorded.lengths[recorded.kept].sum()) * len(sampled.cameras)
    yield {"pictures": pictures, "decoded_pictures": min(sampled.decoded, pictures)}


def check_worse_tables(recorded: Recorded) -> Findings:
    """Yield what the tables alone show that makes a policy worse."""
    yield from numbers.find_short_episodes(recorded)
    yield from numbers.find_empty_tasks(recorded)
    yield from gaps.find_other_rate(recorded.frames["timestamp"].to_numpy()[:1000], recorded.fps)


def leave_out(recorded: Recorded, episodes: Any) -> None:
    """Look at these episodes no more."""
    recorded.kept = np.setdiff1d(recorded.kept, np.array([*episodes], int))
