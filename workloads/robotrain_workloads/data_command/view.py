"""What the page of a dataset shows: the dataset, its episodes with their scores, and one episode whole.

A child process with numpy, pandas, pyarrow, PyAV and Pillow collects it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from robotrain_workloads.data_command.strips import LARGEST_CLIPS, make_strip
from robotrain_workloads.dataset_check import load, table_files
from robotrain_workloads.dataset_check.findings import Finding
from robotrain_workloads.dataset_check.load import ACTION, FRAME_COLUMNS, STATE, Recorded
from robotrain_workloads.dataset_check.motion import Motion
from robotrain_workloads.dataset_check.table_files import Array
from robotrain_workloads.lerobot import dataset

MOST_TASKS = 20
SPARKS = 40
"""Points of the curve of an episode's motion."""
MOST_EPISODES, MOST_ENDS = 300, 20
"""How many episodes a page lists, and how many of them at either end of each score."""
MOST_POINTS = 480
"""Of a curve."""
MOST_DIMENSIONS = 64
"""Of a feature: one with more is no list of joints."""


class EpisodeScores(NamedTuple):
    """An episode in the list of a page."""

    episode: int
    idle: float | None
    """Seconds without motion, at its beginning and its end; None if its numbers were not read, or are not finite."""
    jump: float | None
    """The greatest step from a frame to the next, in percent of what its dimension moves through."""
    motion: tuple[float, ...]
    """The greatest step in each part of the episode."""
    frames: int
    task: str
    errors: int
    warnings: int
    codes: tuple[str, ...]
    """Of its findings."""


def collect_view(
    recorded: Recorded, findings: Sequence[Finding], episode: int | None = None, *, reads_numbers: bool = True
) -> dict[str, Any]:
    """Return what the page shows, as data for JSON.

    :param episode: the one that is shown whole, if there is such a one; by default the worst.
    :param reads_numbers: whether the numbers of all episodes are read, for their scores.
    """
    scores = [*_list_scores(recorded, findings, reads_numbers=reads_numbers)]
    by_number = {score.episode: score for score in scores}
    worst = next(iter(_sort_by_worst(scores)), None)
    shown = worst if episode is None else by_number.get(episode)
    tasks = Counter(score.task for score in scores)
    return {
        "name": str(recorded.root),
        "version": str(recorded.info.get("codebase_version", "")),
        "robot": str(recorded.info.get("robot_type") or ""),
        "fps": recorded.fps,
        "episodes": len(scores),
        "frames": sum(score.frames for score in scores),
        "last": max(by_number, default=-1),
        "cameras": [_describe_camera(name, recorded.features[name]) for name in dataset.list_cameras(recorded.info)],
        "tasks": tasks.most_common(MOST_TASKS),
        "task_count": len(tasks),
        "scores": [score._asdict() for score in _select_listed(scores)],
        "shown": None if shown is None else _describe_episode(recorded, shown),
    }


def _describe_camera(name: str, feature: Any) -> dict[str, Any]:
    names, shape = feature.get("names") or (), feature.get("shape") or ()
    sizes = dict(zip(names, shape, strict=False)) if isinstance(names, list) else {}
    kind = "depth" if dataset.is_depth(feature) else str(feature["dtype"])
    return {"name": name, "kind": kind, "width": sizes.get("width"), "height": sizes.get("height")}


def _describe_episode(recorded: Recorded, shown: EpisodeScores) -> dict[str, Any]:
    strips, remaining_bytes = [], LARGEST_CLIPS
    for camera in dataset.list_cameras(recorded.info):
        strip = make_strip(recorded, shown.episode, camera, remaining_bytes)
        remaining_bytes -= len(strip.clip) * 3 // 4
        strips.append({**asdict(strip), "part": strip.part and strip.part._asdict()})
    curves, problem = {}, ""
    try:
        curves = _read_curves(recorded, shown.episode)
    except (OSError, ValueError, KeyError, table_files.Unreadable) as error:
        problem = f"the numbers of the episode cannot be read: {error}"
    return {**shown._asdict(), "strips": strips, "curves": curves, "problem": problem}


def _list_scores(recorded: Recorded, findings: Sequence[Finding], *, reads_numbers: bool) -> Iterator[EpisodeScores]:
    """Yield the scores of all episodes, in order."""
    measured = dict(_measure(Motion(recorded))) if reads_numbers else {}
    found = defaultdict[int, list[Finding]](list)
    for finding in findings:
        for episode in finding.episodes:
            found[episode].append(finding)
    for place, episode in enumerate(recorded.episodes["episode_index"].tolist()):
        errors = sum(finding.severity == "error" for finding in found[episode])
        codes = tuple(dict.fromkeys(finding.code for finding in found[episode]))
        task = str(recorded.episodes["task"].iloc[place]) if "task" in recorded.episodes else ""
        frames, warnings = int(recorded.lengths[place]), len(found[episode]) - errors
        idle, jump, curve = measured.get(episode, (None, None, ()))
        yield EpisodeScores(episode, idle, jump, curve, frames, task, errors, warnings, codes)


def _measure(motion: Motion) -> Iterator[tuple[int, tuple[float, float, tuple[float, ...]]]]:
    """Yield each episode with its idle seconds, its greatest jump, and the curve of its motion."""
    if not motion.both.shape[1]:
        return
    moving = motion.both[:, motion.is_smooth] if motion.is_smooth.any() else motion.both
    still = np.minimum(motion.lengths, motion.count_still() + motion.count_still(at_end=True))
    for place in np.flatnonzero(motion.is_finite & (motion.lengths >= 2)):
        steps = 100 * np.abs(np.diff(moving[motion.starts[place] : motion.ends[place]], axis=0)).max(axis=1)
        parts = np.array_split(steps, min(SPARKS, len(steps)))
        curve = tuple(round(float(part.max()), 1) for part in parts)
        yield int(motion.episodes[place]), (round(float(still[place]) / motion.fps, 2), max(curve), curve)


def _sort_by_worst(scores: Sequence[EpisodeScores]) -> list[EpisodeScores]:
    """Return the episodes, those with the most errors, warnings and then idle seconds first."""

    def get_key(score: EpisodeScores) -> tuple[float, ...]:
        return -score.errors, -score.warnings, -(score.idle or 0) * bool(score.codes), score.episode

    return sorted(scores, key=get_key)


def _select_listed(scores: Sequence[EpisodeScores]) -> list[EpisodeScores]:
    """Return the episodes that a page lists, the worst first: all, or the worst and those at the ends of each score."""
    worst = _sort_by_worst(scores)
    if len(worst) <= MOST_EPISODES:
        return worst
    chosen = set[int]()
    for key in ("frames", "idle", "jump", "episode"):
        measured = [score for score in scores if getattr(score, key) is not None]
        measured.sort(key=lambda score: getattr(score, key))
        chosen |= {score.episode for score in (*measured[:MOST_ENDS], *measured[-MOST_ENDS:])}
    chosen |= {score.episode for score in worst[: MOST_EPISODES - len(chosen)]}
    return [score for score in worst if score.episode in chosen]


def _read_curves(recorded: Recorded, episode: int) -> dict[str, list[dict[str, Any]]]:
    """Return the curves of each feature with numbers, those of the actions first."""
    features = {name: feature for name, feature in recorded.features.items() if _is_drawn(name, feature)}
    batches = [*load.read_episode(recorded, episode, [*features], 10_000)]
    if not batches:
        return {}
    table = pa.Table.from_batches(batches)
    curves = {}
    for name in sorted(features, key=lambda name: (name != ACTION, name != STATE)):
        size = int(np.prod(features[name].get("shape") or [1]))
        values, _ = table_files.to_numbers(table.column(name).combine_chunks(), size)
        names = _name_curves(features[name], size)
        curves[name] = [_make_curve(*column) for column in zip(names, values.T, strict=True)]
    return curves


def _is_drawn(name: str, feature: Any) -> bool:
    shape = feature.get("shape")
    is_number = dataset.NUMERIC_TYPES.fullmatch(str(feature.get("dtype")))
    size = int(np.prod(shape)) if isinstance(shape, list) and shape else 1
    return bool(is_number) and name not in FRAME_COLUMNS and size <= MOST_DIMENSIONS


def _name_curves(feature: Any, count: int) -> list[str]:
    names = feature.get("names")
    if isinstance(names, dict):  # {"motors": [...]}
        names = next(iter(names.values()), None) if len(names) == 1 else [*names]
    if isinstance(names, list) and len(names) == count and all(isinstance(name, str) for name in names):
        return [*names]
    return [f"dimension {index}" for index in range(count)] if count > 1 else [""]


def _make_curve(name: str, numbers: Array) -> dict[str, Any]:
    """Return the curve of a dimension; a long one has the lowest and the highest value of each part."""
    frames = np.flatnonzero(np.isfinite(numbers))
    omitted = len(numbers) - len(frames)
    if len(frames) > MOST_POINTS:
        parts = [part for part in np.array_split(frames, MOST_POINTS // 2) if len(part)]
        extremes = [(part[numbers[part].argmin()], part[numbers[part].argmax()]) for part in parts]
        frames = np.unique([frames[0], frames[-1], *np.ravel(extremes)])
    points = [(int(frame), float(f"{numbers[frame]:.6g}")) for frame in frames]
    return {"name": name, "points": points, "omitted": omitted}
