"""What the small pictures of cameras show: nothing, the same twice, or the scene turned or in other colors."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from robotrain_workloads.dataset_check.findings import (
    BRIGHTNESS_UNIT,
    Finding,
    Findings,
    Span,
    make_finding,
    make_span_finding,
)
from robotrain_workloads.dataset_check.motion import Motion, find_runs
from robotrain_workloads.dataset_check.picture_sample import Sample
from robotrain_workloads.dataset_check.table_files import Array

DARKEST, BLACK, ONE_COLOR = 8, 24, 1.5
"""The brightest part of a black picture whatever the scene is, and in a bright one; and the standard deviation of a
picture with one color, of 255.
"""
BLACK_PART = 0.4
"""Of the usual brightness: a picture of a dark scene is not black."""
LEAST_PART, LEAST_SECONDS = 0.15, 2.0
"""How long a camera shows nothing before it counts: of the episode, or in seconds."""
FROZEN_SECONDS, WHOLE = 1.5, 0.9
UNCHANGED, UNCHANGED_MEAN = 1.0, 0.05
"""By how much compression changes a part of a frozen picture, and the whole of it."""
SEES_ROBOT = 5.0
"""How much pictures of a camera usually change that sees the robot."""
MOVED = 0.4
"""How far the robot moves meanwhile: of a dimension's range."""
COMPARED, COARSE, SAME_COARSE = 6, 8, 5
"""Pictures of an episode that are compared with those of others, their size at first, and how much the same differ."""
FEWEST_EPISODES = 5
"""Of a camera, so that there is a usual picture."""
LARGEST_PART = 0.4
"""Of the episodes: more of them are no exception."""
UNLIKE, LEAST_DISTANCE = 3.0, 6.0
"""How far a picture is from the usual one: times as far as those of half of the episodes are, and of 255."""
LIKE = 0.5
"""How much closer it is after the change that is looked for."""
FLIPS: Mapping[str, Callable[[Array], Array]] = {
    "mirrored": lambda pictures: pictures[:, :, ::-1],
    "upside down": lambda pictures: pictures[:, ::-1, :],
    "turned by 180 degrees": lambda pictures: pictures[:, ::-1, ::-1],
}
SAME, SAME_MEAN = 14, 1.0
"""How much the same picture differs in two videos, at most and on average, of 255."""
CHANGING = 8
"""How much pictures of an episode differ from each other, if it is to be said that two cameras show the same."""
BRIGHTNESS, FEWEST_BRIGHT = 0.2, 20
"""How far the brightness that statistics say is from that of pictures, of 1, and of how many episodes that counts."""


class Stretch(NamedTuple):
    """Frames in which a camera shows nothing, and which part of the episode they are."""

    part: float
    span: Span


def find_camera_problems(samples: Sequence[Sample], motion: Motion, copies: Collection[int]) -> Findings:
    """Yield what is wrong with the pictures of cameras; `copies` repeat another episode by their numbers."""
    by_camera: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_camera[sample.camera].append(sample)
    lively = {
        camera: [sample for sample in camera_samples if not _shows_nothing(sample)]
        for camera, camera_samples in by_camera.items()
    }
    for camera, camera_samples in by_camera.items():
        yield from _find_dead(camera, camera_samples, motion)
    for camera, camera_samples in lively.items():
        yield from _find_frozen(camera, camera_samples, motion)
    compared = {
        camera: {sample.episode: _choose_compared(sample) for sample in samples if len(sample.pictures) >= COMPARED}
        for camera, samples in lively.items()
    }
    for camera, pictures in compared.items():
        yield from _find_copies(camera, {number: pictures[number] for number in pictures if number not in copies})
    for camera, camera_samples in lively.items():
        yield from _find_odd_views(camera, camera_samples)
    yield from _find_doubled(compared)


def find_brightness_problems(samples: Sequence[Sample], motion: Motion) -> Findings:
    """Yield each camera whose statistics are not of its pictures."""
    for camera in dict.fromkeys(sample.camera for sample in samples):
        stored = motion.recorded.statistics.get(camera)
        if not isinstance(stored, dict) or "mean" not in stored:
            continue
        seen = float(np.mean([sample.pictures.mean() for sample in samples if sample.camera == camera])) / 255
        mean = float(np.mean(np.asarray(stored["mean"], float)))
        if abs(mean - seen) > BRIGHTNESS:
            text = f"meta/stats.json says mean {mean:.3g} of {camera}, and its pictures have {seen:.3g}, of 1"
            yield make_finding("statistics-differ", text, feature=camera, number=mean, unit=BRIGHTNESS_UNIT)


def _measure_brightness(sample: Sample) -> tuple[Array, Array]:
    """Return of each picture how bright it is, without the brightest twentieth, and whether it has one color."""
    flat = sample.pictures.reshape(len(sample.pictures), -1).astype(np.float32)
    return np.quantile(flat, 0.95, axis=1), flat.std(axis=1) < ONE_COLOR


def _shows_nothing(sample: Sample) -> bool:
    brightness, is_plain = _measure_brightness(sample)
    return bool((is_plain | (brightness < DARKEST)).any())


def _find_dead(camera: str, samples: Sequence[Sample], motion: Motion) -> Findings:
    """Yield where a camera is black, by how bright its pictures usually are, or shows one color."""
    measured = [_measure_brightness(sample) for sample in samples]
    usual = float(np.median(np.concatenate([brightness for brightness, _ in measured])))
    limit = min(BLACK, max(DARKEST, BLACK_PART * usual))
    stretches: dict[str, list[Stretch]] = {"camera-black": [], "camera-constant": []}
    for sample, (brightness, is_plain) in zip(samples, measured, strict=True):
        is_black = brightness < limit
        length = int(motion.recorded.lengths[sample.episode])
        for code, is_dead in (("camera-black", is_black), ("camera-constant", is_plain & ~is_black)):
            if not is_dead.any():
                continue
            begin, end = max(find_runs(is_dead).tolist(), key=lambda run: run[1] - run[0])
            first, last = int(sample.frames[begin]), int(sample.frames[end]) if end < len(sample.frames) else length
            if (last - first) / length >= LEAST_PART or (last - first) / motion.fps >= LEAST_SECONDS:
                stretches[code].append(Stretch((last - first) / length, (sample.episode, first, last)))
    for code, verb in (("camera-black", "is black"), ("camera-constant", "shows one color")):
        if stretches[code]:
            yield _make_stretch_finding(code, camera, verb, stretches[code])


def _find_frozen(camera: str, samples: Sequence[Sample], motion: Motion) -> Findings:
    """Yield where a camera shows one picture while the robot moves."""
    all_changes, stretches = list[float](), list[Stretch]()
    for sample in samples:
        path = motion.get_path(sample.episode)
        if path is None or len(sample.frames) < 2:
            continue
        pictures = sample.pictures.astype(np.float32)
        differences = np.abs(np.diff(pictures, axis=0))
        changes = differences.max(axis=(1, 2))
        all_changes += changes[np.diff(path[sample.frames]) > 0.01].tolist()
        for begin, end in find_runs((changes <= UNCHANGED) & (differences.mean(axis=(1, 2)) <= UNCHANGED_MEAN)):
            first, last = int(sample.frames[begin]), int(sample.frames[end])
            drift = np.abs(pictures[begin] - pictures[end]).max()
            part = (last - first) / max(len(path) - 1, 1)
            is_long = (last - first) / motion.fps >= FROZEN_SECONDS and part >= LEAST_PART
            if drift <= UNCHANGED and path[last] - path[first] >= MOVED and (part >= WHOLE or is_long):
                stretches.append(Stretch(part, (sample.episode, first, last + 1)))
    sees_robot = bool(all_changes) and float(np.quantile(all_changes, 0.75)) > SEES_ROBOT
    if counted := [stretch for stretch in stretches if sees_robot or stretch.part >= WHOLE]:
        yield _make_stretch_finding("camera-frozen", camera, "shows one picture in motion", counted)


def _make_stretch_finding(code: str, camera: str, verb: str, stretches: Sequence[Stretch]) -> Finding:
    worst = max(stretches, key=lambda stretch: stretch.part)
    episode, begin, end = worst.span
    frames = "throughout" if worst.part >= WHOLE else f"in frames {begin} to {end - 1}"
    more = f", and in {len(stretches) - 1} more" if len(stretches) > 1 else ""
    return make_span_finding(
        code,
        f"{camera} {verb} in episode {episode} {frames}{more}",
        [stretch.span for stretch in stretches],
        100 * worst.part,
        "%",
        camera,
    )


def _choose_compared(sample: Sample) -> Array:
    """Return some pictures of an episode, as signed numbers."""
    places = np.linspace(0, len(sample.pictures) - 1, COMPARED).round().astype(int)
    return sample.pictures[places].astype(np.int16)


def _is_same(pictures: Array, others: Array) -> bool:
    """Return whether pictures are the same but for their encoding."""
    difference = np.abs(pictures - others)
    return bool(difference.max() <= SAME and difference.mean() <= SAME_MEAN)


def _find_copies(camera: str, pictures: Mapping[int, Array]) -> Findings:
    """Yield the episodes of a camera that show the same as another one."""
    numbers = [*pictures]
    if len(numbers) < 2:
        return
    fine = np.stack([*pictures.values()])
    scale = fine.shape[-1] // COARSE
    coarse = fine.reshape(len(numbers), COMPARED, COARSE, scale, COARSE, scale).mean(axis=(3, 5)).astype(np.int16)
    coarse = coarse.reshape(len(numbers), -1)
    copies = dict[int, int]()
    for place in np.flatnonzero(np.ptp(fine, axis=1).max(axis=(1, 2)) > 2 * SAME):
        if numbers[place] not in copies:
            is_near = np.abs(coarse[place + 1 :] - coarse[place]).max(axis=1) <= SAME_COARSE
            for near in np.flatnonzero(is_near) + place + 1:
                if _is_same(fine[near], fine[place]):
                    copies.setdefault(numbers[near], numbers[place])
    if copies:
        copy, first = next(iter(copies.items()))
        text = f"{camera} shows the same pictures in episode {copy} as in episode {first}, with other numbers"
        yield make_finding("episode-repeated", text, copies, feature=camera)


def _find_odd_views(camera: str, samples: Sequence[Sample]) -> Findings:
    """Yield episodes whose usual picture is that of the others once it is turned, or red and blue are exchanged."""
    if len(samples) < FEWEST_EPISODES:
        return
    grays = np.stack([sample.pictures.mean(axis=0, dtype=np.float32) for sample in samples])
    colors = np.stack([sample.colors.astype(np.float32) for sample in samples])
    flips = dict[int, str]()
    for name, flip in FLIPS.items():
        for place in _find_exceptions(grays, flip(grays)):
            flips.setdefault(samples[place].episode, name)
    if 0 < len(flips) <= LARGEST_PART * len(samples):
        episode, name = next(iter(flips.items()))
        text = f"{camera} is {name} in episode {episode}{_describe_more(len(flips))}, as the other episodes show"
        yield make_finding("camera-flipped", text, flips, feature=camera)
    exchanged = [samples[place].episode for place in _find_exceptions(colors, colors[..., ::-1])]
    if 0 < len(exchanged) <= LARGEST_PART * len(samples):
        text = f"red and blue of {camera} are exchanged in episode {exchanged[0]}{_describe_more(len(exchanged))}"
        yield make_finding("colors-exchanged", f"{text}, as the other episodes show", exchanged, feature=camera)


def _find_exceptions(views: Array, changed: Array) -> Array:
    """Return the views of episodes that are unlike the usual one, but for a change; `changed` are those after it."""
    axes = tuple(range(1, views.ndim))
    usual = np.median(views, axis=0)
    light = usual.mean() / np.maximum(views.mean(axis=axes, keepdims=True), 1)  # of another hour
    distances = np.abs(views * light - usual).mean(axis=axes)
    is_unlike = (distances > UNLIKE * np.median(distances)) & (distances > LEAST_DISTANCE)
    return np.flatnonzero(is_unlike & (np.abs(changed * light - usual).mean(axis=axes) < LIKE * distances))


def _find_doubled(compared: Mapping[str, Mapping[int, Array]]) -> Findings:
    """Yield the pairs of cameras that show the same, which changes, in all episodes or in some."""
    cameras = [*compared]
    for index, camera in enumerate(cameras):
        for other in cameras[:index]:
            common = [episode for episode in compared[camera] if episode in compared[other]]
            same = [
                episode
                for episode in common
                if _is_same(compared[camera][episode], compared[other][episode])
                and np.ptp(compared[camera][episode], axis=0).max() > CHANGING
            ]
            if same:
                are_all = len(same) == len(common)
                episodes = "all episodes" if are_all else f"episode {same[0]}{_describe_more(len(same))}"
                yield make_finding(
                    "cameras-equal",
                    f"{camera} shows the same pictures as {other} in {episodes}",
                    [] if are_all else same,
                    feature=camera,
                )


def _describe_more(count: int) -> str:
    """Return how many others there are beside the first one; empty if there is none."""
    return f" and {count - 1} more" if count > 1 else ""
