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
    numbers_by_episode = {
        measured_numbers.episode: measured_numbers
        for measured_numbers in (_measure(recording) if reads_numbers else ())
    }
    codes: dict[int, list[DataFinding]] = {}
    for finding in findings:
        for episode in finding.episodes:
            codes.setdefault(episode, []).append(finding)
    episode_files = recording.episodes
    for episode, frames, task in zip(
        episode_files.numbers, episode_files.lengths, episode_files.first_tasks, strict=True
    ):
        episode_findings = codes.get(int(episode), [])
        errors = sum(finding.severity == "error" for finding in episode_findings)
        finding_codes = tuple(dict.fromkeys(finding.code for finding in episode_findings))
        measured_numbers = numbers_by_episode.get(int(episode)) or _Numbers(int(episode))
        yield EpisodeScores(*measured_numbers, int(frames), task, errors, len(episode_findings) - errors, finding_codes)


def _measure(recording: RecordedDataset) -> Iterator[_Numbers]:
    """Yield the scores of the numbers of each episode."""
    for episode_numbers in recording.read_numbers():
        motion = make_motion(episode_numbers, recording.spreads)
        moving_numbers = motion.continuous if motion.continuous.shape[1] else motion.both
        if not moving_numbers.shape[1] or motion.length < 2 or not np.isfinite(motion.both).all():
            continue
        still_frames = min(motion.length, count_still(motion.both) + count_still(motion.both[::-1]))
        steps = 100 * np.abs(np.diff(moving_numbers, axis=0)).max(axis=1)
        step_parts = np.array_split(steps, min(SPARKS, len(steps)))
        curve = tuple(round(float(part.max()), 1) for part in step_parts)
        yield _Numbers(motion.episode, round(still_frames / recording.fps, 2), max(curve), curve)


def find_worst(scores: Sequence[EpisodeScores]) -> list[EpisodeScores]:
    """Return the episodes, those with the most errors, warnings and then idle seconds first."""
    return sorted(
        scores,
        key=lambda score: (-score.errors, -score.warnings, -(score.idle or 0) * bool(score.codes), score.episode),
    )


def select_listed(scores: Sequence[EpisodeScores]) -> list[EpisodeScores]:
    """Return the episodes that a page lists, the worst first: all, or the worst and those at the ends of each score."""
    worst_scores = find_worst(scores)
    if len(worst_scores) <= MOST_EPISODES:
        return worst_scores
    extreme_episodes = set[int]()
    for key in ("frames", "idle", "jump", "episode"):
        measured_scores = sorted(
            (score for score in scores if getattr(score, key) is not None), key=lambda score: getattr(score, key)
        )
        extreme_episodes |= {score.episode for score in (*measured_scores[:MOST_ENDS], *measured_scores[-MOST_ENDS:])}
    chosen_episodes = {
        score.episode for score in worst_scores[: MOST_EPISODES - len(extreme_episodes)]
    } | extreme_episodes
    return [score for score in worst_scores if score.episode in chosen_episodes]
