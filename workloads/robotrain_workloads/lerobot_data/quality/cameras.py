"""Cameras that show nothing: black, of one color or frozen; the same pictures in two episodes; and odd views."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from robotrain_workloads.lerobot_data.quality.camera_views import SAME, CameraViews, is_same
from robotrain_workloads.lerobot_data.quality.motion import find_runs
from robotrain_workloads.lerobot_data.quality.pictures import SampledPictures
from robotrain_workloads.lerobot_data_check.findings import DataFinding, Span, make_data_finding, make_span_finding
from robotrain_workloads.lerobot_data_check.recording import Array

DARKEST, BLACK, ONE_COLOR = 8, 24, 1.5
"""The brightest part of a black picture whatever the scene is, and in a bright one; and the standard deviation of a
picture with one color, of 255.
"""
BLACK_PART = 0.4
"""Of the usual brightness: a picture of a dark scene is not black."""
LEAST_PART, LEAST_SECONDS = 0.15, 2.0
"""How long a camera shows nothing before it counts: of the episode, or in seconds."""
FROZEN_SECONDS = 1.5
UNCHANGED, UNCHANGED_MEAN = 1.0, 0.05
"""By how much compression changes a part of a frozen picture, and the whole of it."""
CHANGING = 5.0
"""How much pictures of a camera usually change that sees the robot."""
MOVED = 0.4
"""How far the robot moves meanwhile: of a dimension's range."""
CHANGED = 20
"""How much pictures change in an episode that is compared."""
COMPARED, COARSE = 6, 8
"""Pictures of an episode that are compared with those of others, and their size at first."""
SAME_COARSE = 5
"""How much small pictures differ that may be the same, at most."""


class _Dead(NamedTuple):
    part: float
    span: Span


class _Brightness(NamedTuple):
    """How bright the pictures of a camera are in an episode."""

    episode: int
    frames: Array
    """The number of the frame of each picture."""
    length: int
    """Frames of the episode."""
    brightest: Array
    """Of each picture, without the brightest twentieth."""
    is_plain: Array
    """Of each picture, whether it has one color."""


class CameraCheck:
    """The judgement on the pictures of all cameras and episodes."""

    def __init__(self, fps: float, paths: Mapping[int, Array]) -> None:
        """`paths` says for each frame of an episode how far the robot moved until then."""
        self._fps, self._paths = fps, paths
        self._dead: dict[tuple[str, str], list[_Dead]] = defaultdict(list)
        self._brightness: dict[str, list[_Brightness]] = defaultdict(list)
        self._frozen: dict[str, list[tuple[bool, _Dead]]] = defaultdict(list)
        self._changes: dict[str, list[float]] = defaultdict(list)
        self._compared: dict[str, dict[int, Array]] = defaultdict(dict)
        self._means: dict[str, list[float]] = defaultdict(list)
        self._views = CameraViews()

    def add(self, seen: SampledPictures, length: int) -> None:
        """Look at the pictures of a camera in the next episode."""
        pictures = seen.pictures.astype(np.float32)
        flat_pictures = pictures.reshape(len(pictures), -1)
        self._means[seen.camera].append(float(flat_pictures.mean()) / 255)
        bright_levels = np.quantile(flat_pictures, 0.95, axis=1)
        is_plain = flat_pictures.std(axis=1) < ONE_COLOR
        self._brightness[seen.camera].append(_Brightness(seen.episode, seen.frames, length, bright_levels, is_plain))
        if not (is_plain | (bright_levels < DARKEST)).any():
            self._views.add(seen)
            self._find_frozen(seen, length, pictures)
            if len(pictures) >= COMPARED:
                chosen_indices = np.linspace(0, len(pictures) - 1, COMPARED).round().astype(int)
                self._compared[seen.camera][seen.episode] = seen.pictures[chosen_indices]

    def _find_dead(self, camera: str, episodes: Sequence["_Brightness"]) -> None:
        """Note where a camera is black, by how bright its pictures usually are, or shows one color."""
        usual_brightness = float(np.median(np.concatenate([episode.brightest for episode in episodes])))
        limit = min(BLACK, max(DARKEST, BLACK_PART * usual_brightness))
        for episode in episodes:
            is_black = episode.brightest < limit
            for code, is_dead in (("camera-black", is_black), ("camera-constant", episode.is_plain & ~is_black)):
                if is_dead.any():
                    self._add_dead(episode, camera, code, is_dead)

    def _add_dead(self, brightness: "_Brightness", camera: str, code: str, is_dead: Array) -> None:
        run_start, run_end = max(find_runs(is_dead), key=lambda run: run[1] - run[0])
        span = _make_span(brightness, run_start, run_end)
        dead_part = (span[2] - span[1]) / brightness.length
        if dead_part >= LEAST_PART or (span[2] - span[1]) / self._fps >= LEAST_SECONDS:
            self._dead[code, camera].append(_Dead(dead_part, span))

    def _find_frozen(self, sampled: SampledPictures, length: int, pictures: Array) -> None:
        differences = np.abs(np.diff(pictures, axis=0))
        changes = differences.max(axis=(1, 2))
        if (path := self._paths.get(sampled.episode)) is None or len(path) != length or not len(changes):
            return
        distances_moved = np.diff(path[sampled.frames])
        self._changes[sampled.camera] += changes[distances_moved > 0.01].tolist()
        is_same = (changes <= UNCHANGED) & (differences.mean(axis=(1, 2)) <= UNCHANGED_MEAN)
        for run_start, run_end in find_runs(is_same):
            first_frame = int(sampled.frames[run_start])
            last_frame = int(sampled.frames[run_end])
            drift = np.abs(pictures[run_start] - pictures[run_end]).max()
            if drift > UNCHANGED or path[last_frame] - path[first_frame] < MOVED:
                continue
            frozen_part = (last_frame - first_frame) / max(length - 1, 1)
            is_long = (last_frame - first_frame) / self._fps >= FROZEN_SECONDS and frozen_part >= LEAST_PART
            if frozen_part >= 0.9 or is_long:
                span = (sampled.episode, first_frame, last_frame + 1)
                self._frozen[sampled.camera].append((frozen_part >= 0.9, _Dead(frozen_part, span)))

    def list_findings(self, known_copies: Container[int]) -> Iterator[DataFinding]:
        """Yield what was found; `known_copies` are episodes that repeat another one by their numbers."""
        for camera, episodes in self._brightness.items():
            self._find_dead(camera, episodes)
        words = {"camera-black": "is black", "camera-constant": "shows one color"}
        for (code, camera), dead_stretches in self._dead.items():
            yield _make_dead_finding(code, camera, words[code], dead_stretches)
        for camera, runs in self._frozen.items():
            changes = self._changes[camera]
            sees_robot = bool(changes) and float(np.quantile(changes, 0.75)) > CHANGING
            if counted_stretches := [dead_stretches for is_whole, dead_stretches in runs if is_whole or sees_robot]:
                yield _make_dead_finding("camera-frozen", camera, "shows one picture in motion", counted_stretches)
        for camera, pictures in self._compared.items():
            yield from self._compare(camera, pictures, known_copies)
        yield from self._views.list_findings(self._compared)

    def _compare(
        self, camera: str, episodes: Mapping[int, Array], known_copies: Container[int]
    ) -> Iterator[DataFinding]:
        episode_numbers = [number for number in episodes if number not in known_copies]
        if len(episode_numbers) < 2:
            return
        fine_pictures = np.stack([episodes[number] for number in episode_numbers]).astype(np.int16)
        scale = fine_pictures.shape[-1] // COARSE
        coarse_pictures = (
            fine_pictures.reshape(len(episode_numbers), COMPARED, COARSE, scale, COARSE, scale)
            .mean(axis=(3, 5))
            .astype(np.int16)
        )
        coarse_pictures = coarse_pictures.reshape(len(episode_numbers), -1)
        is_changing = np.ptp(fine_pictures, axis=1).max(axis=(1, 2)) > 2 * SAME
        copies: dict[int, int] = {}
        for index in np.flatnonzero(is_changing):
            if episode_numbers[index] in copies:
                continue
            near_indices = (
                np.flatnonzero(np.abs(coarse_pictures[index + 1 :] - coarse_pictures[index]).max(axis=1) <= SAME_COARSE)
                + index
                + 1
            )
            for near_index in near_indices:
                if is_same(fine_pictures[near_index], fine_pictures[index]):
                    copies.setdefault(episode_numbers[near_index], episode_numbers[index])
        if copies:
            copy, repeated_episode = next(iter(copies.items()))
            finding_text = (
                f"{camera} shows the same pictures in episode {copy} as in episode {repeated_episode}, "
                "with other numbers"
            )
            yield make_data_finding("episode-repeated", finding_text, copies, feature=camera)

    def compute_mean(self, camera: str) -> float | None:
        """Return how bright the pictures of a camera are, from 0 to 1; None if none was seen."""
        means = self._means.get(camera)
        return float(np.mean(means)) if means else None


def _make_span(brightness: _Brightness, run_start: int, run_end: int) -> Span:
    """Return the frames that a run of pictures stands for: up to the next picture."""
    end_frame = int(brightness.frames[run_end]) if run_end < len(brightness.frames) else brightness.length
    return brightness.episode, int(brightness.frames[run_start]), end_frame


def _make_dead_finding(code: str, camera: str, verb_phrase: str, dead_stretches: list[_Dead]) -> DataFinding:
    worst_stretch = max(dead_stretches, key=lambda stretch: stretch.part)
    episode, start_frame, end_frame = worst_stretch.span
    frames_text = "throughout" if worst_stretch.part >= 0.9 else f"in frames {start_frame} to {end_frame - 1}"
    more_text = f", and in {len(dead_stretches) - 1} more" if len(dead_stretches) > 1 else ""
    finding_text = f"{camera} {verb_phrase} in episode {episode} {frames_text}{more_text}"
    return make_span_finding(
        code, finding_text, [stretch.span for stretch in dead_stretches], 100 * worst_stretch.part, "%", camera
    )
