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
        flat = pictures.reshape(len(pictures), -1)
        self._means[seen.camera].append(float(flat.mean()) / 255)
        brightest = np.quantile(flat, 0.95, axis=1)
        is_plain = flat.std(axis=1) < ONE_COLOR
        self._brightness[seen.camera].append(_Brightness(seen.episode, seen.frames, length, brightest, is_plain))
        if not (is_plain | (brightest < DARKEST)).any():
            self._views.add(seen)
            self._find_frozen(seen, length, pictures)
            if len(pictures) >= COMPARED:
                chosen = np.linspace(0, len(pictures) - 1, COMPARED).round().astype(int)
                self._compared[seen.camera][seen.episode] = seen.pictures[chosen]

    def _find_dead(self, camera: str, episodes: Sequence["_Brightness"]) -> None:
        """Note where a camera is black, by how bright its pictures usually are, or shows one color."""
        usual = float(np.median(np.concatenate([episode.brightest for episode in episodes])))
        limit = min(BLACK, max(DARKEST, BLACK_PART * usual))
        for episode in episodes:
            is_black = episode.brightest < limit
            for code, is_dead in (("camera-black", is_black), ("camera-constant", episode.is_plain & ~is_black)):
                if is_dead.any():
                    self._add_dead(episode, camera, code, is_dead)

    def _add_dead(self, seen: "_Brightness", camera: str, code: str, is_dead: Array) -> None:
        begin, end = max(find_runs(is_dead), key=lambda run: run[1] - run[0])
        span = _make_span(seen, begin, end)
        part = (span[2] - span[1]) / seen.length
        if part >= LEAST_PART or (span[2] - span[1]) / self._fps >= LEAST_SECONDS:
            self._dead[code, camera].append(_Dead(part, span))

    def _find_frozen(self, seen: SampledPictures, length: int, pictures: Array) -> None:
        differences = np.abs(np.diff(pictures, axis=0))
        changes = differences.max(axis=(1, 2))
        if (path := self._paths.get(seen.episode)) is None or len(path) != length or not len(changes):
            return
        moved = np.diff(path[seen.frames])
        self._changes[seen.camera] += changes[moved > 0.01].tolist()
        is_same = (changes <= UNCHANGED) & (differences.mean(axis=(1, 2)) <= UNCHANGED_MEAN)
        for begin, end in find_runs(is_same):
            first = int(seen.frames[begin])
            last = int(seen.frames[end])
            drift = np.abs(pictures[begin] - pictures[end]).max()
            if drift > UNCHANGED or path[last] - path[first] < MOVED:
                continue
            part = (last - first) / max(length - 1, 1)
            is_long = (last - first) / self._fps >= FROZEN_SECONDS and part >= LEAST_PART
            if part >= 0.9 or is_long:
                span = (seen.episode, first, last + 1)
                self._frozen[seen.camera].append((part >= 0.9, _Dead(part, span)))

    def list_findings(self, known_copies: Container[int]) -> Iterator[DataFinding]:
        """Yield what was found; `known_copies` are episodes that repeat another one by their numbers."""
        for camera, episodes in self._brightness.items():
            self._find_dead(camera, episodes)
        words = {"camera-black": "is black", "camera-constant": "shows one color"}
        for (code, camera), dead in self._dead.items():
            yield _make_dead_finding(code, camera, words[code], dead)
        for camera, runs in self._frozen.items():
            changes = self._changes[camera]
            sees_robot = bool(changes) and float(np.quantile(changes, 0.75)) > CHANGING
            if counted := [dead for is_whole, dead in runs if is_whole or sees_robot]:
                yield _make_dead_finding("camera-frozen", camera, "shows one picture in motion", counted)
        for camera, pictures in self._compared.items():
            yield from self._compare(camera, pictures, known_copies)
        yield from self._views.list_findings(self._compared)

    def _compare(
        self, camera: str, episodes: Mapping[int, Array], known_copies: Container[int]
    ) -> Iterator[DataFinding]:
        numbers = [number for number in episodes if number not in known_copies]
        if len(numbers) < 2:
            return
        fine = np.stack([episodes[number] for number in numbers]).astype(np.int16)
        scale = fine.shape[-1] // COARSE
        coarse = fine.reshape(len(numbers), COMPARED, COARSE, scale, COARSE, scale).mean(axis=(3, 5)).astype(np.int16)
        coarse = coarse.reshape(len(numbers), -1)
        is_changing = np.ptp(fine, axis=1).max(axis=(1, 2)) > 2 * SAME
        copies: dict[int, int] = {}
        for index in np.flatnonzero(is_changing):
            if numbers[index] in copies:
                continue
            near = np.flatnonzero(np.abs(coarse[index + 1 :] - coarse[index]).max(axis=1) <= SAME_COARSE) + index + 1
            for other in near:
                if is_same(fine[other], fine[index]):
                    copies.setdefault(numbers[other], numbers[index])
        if copies:
            copy, first = next(iter(copies.items()))
            text = f"{camera} shows the same pictures in episode {copy} as in episode {first}, with other numbers"
            yield make_data_finding("episode-repeated", text, copies, feature=camera)

    def compute_mean(self, camera: str) -> float | None:
        """Return how bright the pictures of a camera are, from 0 to 1; None if none was seen."""
        means = self._means.get(camera)
        return float(np.mean(means)) if means else None


def _make_span(seen: _Brightness, begin: int, end: int) -> Span:
    """Return the frames that a run of pictures stands for: up to the next picture."""
    last = int(seen.frames[end]) if end < len(seen.frames) else seen.length
    return seen.episode, int(seen.frames[begin]), last


def _make_dead_finding(code: str, camera: str, what: str, dead: list[_Dead]) -> DataFinding:
    worst = max(dead, key=lambda stretch: stretch.part)
    episode, begin, end = worst.span
    where = "throughout" if worst.part >= 0.9 else f"in frames {begin} to {end - 1}"
    more = f", and in {len(dead) - 1} more" if len(dead) > 1 else ""
    text = f"{camera} {what} in episode {episode} {where}{more}"
    return make_span_finding(code, text, [stretch.span for stretch in dead], 100 * worst.part, "%", camera)
