"""The scores of each episode, by which a reader finds the ones to look at: idle seconds, greatest jump, motion."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from robotrain_workloads.lerobot_data.quality.idle_ends import count_still
from robotrain_workloads.lerobot_data.quality.motion import make_motion
from robotrain_workloads.lerobot_data_check.findings import DataFinding
from robotrain_workloads.lerobot_data_check.recording import RecordedDataset

SPARKS = 40
"""Points of the curve of an episode's motion."""
MOST_EPISODES, MOST_ENDS = 300, 20
"""How many episodes a page lists, and how many of them at either end of each score."""


class _Numbers(NamedTuple):
    episode: int
    idle: float | None = None
    jump: float | None = None
    motion: tuple[float, ...] = ()


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


def list_scores(
    recording: RecordedDataset, findings: Sequence[DataFinding], *, reads_numbers: bool
) -> Iterator[EpisodeScores]:
    """Yield the scores of all episodes, in order."""
    numbers = {measured.episode: measured for measured in (_measure(recording) if reads_numbers else ())}
    codes: dict[int, list[DataFinding]] = {}
    for finding in findings:
        for episode in finding.episodes:
            codes.setdefault(episode, []).append(finding)
    places = recording.episodes
    for episode, frames, task in zip(places.numbers, places.lengths, places.first_tasks, strict=True):
        episode_findings = codes.get(int(episode), [])
        errors = sum(finding.severity == "error" for finding in episode_findings)
        names = tuple(dict.fromkeys(finding.code for finding in episode_findings))
        measured = numbers.get(int(episode)) or _Numbers(int(episode))
        yield EpisodeScores(*measured, int(frames), task, errors, len(episode_findings) - errors, names)


def _measure(recording: RecordedDataset) -> Iterator[_Numbers]:
    """Yield the scores of the numbers of each episode."""
    for numbers in recording.read_numbers():
        motion = make_motion(numbers, recording.spreads)
        moving = motion.continuous if motion.continuous.shape[1] else motion.both
        if not moving.shape[1] or motion.length < 2 or not np.isfinite(motion.both).all():
            continue
        still = min(motion.length, count_still(motion.both) + count_still(motion.both[::-1]))
        steps = 100 * np.abs(np.diff(moving, axis=0)).max(axis=1)
        parts = np.array_split(steps, min(SPARKS, len(steps)))
        curve = tuple(round(float(part.max()), 1) for part in parts)
        yield _Numbers(motion.episode, round(still / recording.fps, 2), max(curve), curve)


def find_worst(scores: Sequence[EpisodeScores]) -> list[EpisodeScores]:
    """Return the episodes, those with the most errors, warnings and then idle seconds first."""
    return sorted(
        scores,
        key=lambda score: (-score.errors, -score.warnings, -(score.idle or 0) * bool(score.codes), score.episode),
    )


def select_listed(scores: Sequence[EpisodeScores]) -> list[EpisodeScores]:
    """Return the episodes that a page lists, the worst first: all, or the worst and those at the ends of each score."""
    worst = find_worst(scores)
    if len(worst) <= MOST_EPISODES:
        return worst
    ends = set[int]()
    for key in ("frames", "idle", "jump", "episode"):
        measured = sorted(
            (score for score in scores if getattr(score, key) is not None), key=lambda score: getattr(score, key)
        )
        ends |= {score.episode for score in (*measured[:MOST_ENDS], *measured[-MOST_ENDS:])}
    chosen = {score.episode for score in worst[: MOST_EPISODES - len(ends)]} | ends
    return [score for score in worst if score.episode in chosen]
