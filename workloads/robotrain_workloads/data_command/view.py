"""What the page of a dataset shows: the dataset, its episodes with their scores, and one episode whole.

A child process with numpy, pandas, pyarrow, PyAV and Pillow collects it.
"""

import base64
import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import av
import numpy as np
import pyarrow as pa
from PIL import Image

from robotrain_workloads.dataset_check import load, table_files
from robotrain_workloads.dataset_check.findings import Finding
from robotrain_workloads.dataset_check.load import ACTION, FRAME_COLUMNS, STATE, Recorded
from robotrain_workloads.dataset_check.motion import Motion
from robotrain_workloads.dataset_check.picture_sample import VideoDecoder, choose_evenly
from robotrain_workloads.dataset_check.table_files import Array
from robotrain_workloads.lerobot import dataset

PICTURES = 16
"""Of a strip."""
BATCH_ROWS = 256
"""Rows of pictures that are in memory at once."""
WIDTH, QUALITY = 160, 72
"""Of a picture, in pixels, and of its JPEG."""
LARGEST_CLIP, LARGEST_CLIPS = 8_000_000, 20_000_000
"""Bytes of one video in a page, and of all of them."""
PLAYABLE = ("h264", "av1", "vp9", "vp8")
"""The codecs of videos that browsers play."""
MOST_TASKS = 20
SPARKS = 40
"""Points of the curve of an episode's motion."""
MOST_EPISODES = 300
"""How many episodes a page lists."""
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
    worst_first = _sort_by_worst(scores)
    shown = (worst_first[0] if worst_first else None) if episode is None else by_number.get(episode)
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
        "scores": [score._asdict() for score in worst_first[:MOST_EPISODES]],
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


class VideoPlace(NamedTuple):
    """Where an episode is in a video file, in seconds."""

    path: str
    start: float
    end: float


@dataclass
class CameraStrip:
    """What a page shows of a camera."""

    name: str
    pictures: list[tuple[int, str]]
    """Frames, and JPEGs in base64."""
    clip: str = ""
    """The video in base64, if it is small enough."""
    clip_start: float = 0.0
    """Where the episode begins in it: a video can only be cut at its key frames."""
    part: VideoPlace | None = None
    problem: str = ""
    """Why there are no pictures, or not all."""
    remark: str = ""
    """Why there is no video."""


def make_strip(recorded: Recorded, episode: int, camera: str, room: int) -> CameraStrip:
    """Return the strip of a camera; what cannot be read is said in it.

    :param room: how many bytes the video may have.
    """
    strip, pictures = CameraStrip(camera, []), dict[int, Array]()
    frames = choose_evenly(int(recorded.lengths[episode]), PICTURES)
    try:
        if camera in recorded.videos:
            row = recorded.episodes.iloc[episode]
            strip.part = VideoPlace(*(row[f"{camera}/{name}"] for name in ("path", "from", "to")))
            for frame, image in _decode_frames(recorded, strip.part, frames):
                pictures[frame] = _shrink(image)
            if pictures:
                _add_clip(strip, recorded, room)
        else:
            for frame, content in _read_pictures(recorded, episode, camera, frames):
                if (picture := _open_image(content)) is not None:
                    pictures[frame] = picture
    except FileNotFoundError:
        strip.problem = f"{strip.part.path if strip.part else camera} does not exist"
    except (OSError, ValueError, LookupError, av.error.FFmpegError, table_files.Unreadable) as error:
        reason = getattr(error, "strerror", "") or error
        strip.problem = f"{strip.part.path if strip.part else camera} cannot be read: {reason}"
    missing = len(frames) - len(pictures)
    if missing and not strip.problem:
        strip.problem = f"{missing} of {len(frames)} pictures do not exist, or cannot be read"
    strip.pictures = [(frame, _encode(picture)) for frame, picture in sorted(_scale_distances(pictures).items())]
    return strip


def _read_pictures(recorded: Recorded, episode: int, camera: str, frames: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Yield the encoded pictures of some frames of a camera that is stored as images."""
    first, wanted = 0, {*frames}
    for rows in load.read_episode(recorded, episode, [camera], BATCH_ROWS):
        for row in range(rows.num_rows):
            if first + row in wanted:
                yield first + row, (rows.column(camera)[row].as_py() or {}).get("bytes") or b""
        first += rows.num_rows


def _open_image(picture_bytes: bytes) -> Array | None:
    """Return a small picture; None if it cannot be read."""
    try:
        return _shrink(Image.open(io.BytesIO(picture_bytes)))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _decode_frames(recorded: Recorded, part: VideoPlace, frames: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Yield the pictures of some frames, in order. Raise what PyAV raises."""
    with av.open(str(recorded.root / part.path)) as container:
        decoder = VideoDecoder(container, recorded.fps)
        for frame in frames:
            if (picture := decoder.find_frame(part.start + frame / recorded.fps)) is not None:
                yield frame, picture


def _shrink(picture: Any) -> Array:
    """Return a picture as wide as those of a strip: RGB, or distances."""
    if isinstance(picture, Image.Image):
        is_color = not picture.mode.startswith(("I", "F"))
        pixels = np.asarray(picture.convert("RGB") if is_color else picture)
    else:
        is_color = "gray" not in picture.format.name or picture.format.name == "gray"
        pixels = picture.to_ndarray(format="rgb24" if is_color else "gray16le")
    height, width = pixels.shape[:2]
    size = (WIDTH, max(1, round(height * WIDTH / width)))
    return np.asarray(Image.fromarray(pixels if is_color else pixels.astype(np.float32)).resize(size))


def _scale_distances(pictures: Mapping[int, Array]) -> dict[int, Array]:
    """Return pictures of distances in shades of gray, all of a strip on one scale."""
    distances = [picture for picture in pictures.values() if picture.ndim == 2]
    if not distances:
        return dict(pictures)
    low_distance, high_distance = np.percentile(np.concatenate([picture.ravel() for picture in distances]), [1, 99])
    return {
        frame: np.clip((picture - low_distance) * 255 / ((high_distance - low_distance) or 1.0), 0, 255).astype(
            np.uint8
        )
        if picture.ndim == 2
        else picture
        for frame, picture in pictures.items()
    }


def _encode(picture: Array) -> str:
    jpeg_buffer = io.BytesIO()
    Image.fromarray(picture).save(jpeg_buffer, "JPEG", quality=QUALITY)
    return base64.b64encode(jpeg_buffer.getvalue()).decode()


def _add_clip(strip: CameraStrip, recorded: Recorded, remaining_bytes: int) -> None:
    """Add the part of the video to a strip, or why it has none."""
    video_place = strip.part
    assert video_place is not None
    path = recorded.root / video_place.path
    with av.open(str(path)) as source:
        codec = source.streams.video[0].codec_context.codec.canonical_name
        is_depth = dataset.is_depth(recorded.features[strip.name])
        seconds = float(source.duration or 0) / 1e6
        shown_share = min(1.0, (video_place.end - video_place.start) / seconds) if seconds else 1.0
        if is_depth:
            strip.remark = "a browser plays no video of distances"
        elif codec not in PLAYABLE:
            strip.remark = f"a browser plays no video of the codec {codec}"
        elif path.stat().st_size * shown_share > min(remaining_bytes, LARGEST_CLIP):
            strip.remark = "the video is too large for a page"
        else:
            clip, strip.clip_start = _cut_video(source, video_place)
            if len(clip) <= min(remaining_bytes, LARGEST_CLIP):
                strip.clip = base64.b64encode(clip).decode()
            else:
                strip.remark = "the video is too large for a page"


def _cut_video(source: Any, part: VideoPlace) -> tuple[bytes, float]:
    """Return a part of a video from the key frame before it on, as it is encoded, and where the part begins in it."""
    stream, video_buffer = source.streams.video[0], io.BytesIO()
    unit = float(stream.time_base)
    start_pts = stream.start_time or 0
    source.seek(start_pts + int(part.start / unit) + 1, stream=stream)
    first_time: int | None = None
    with av.open(video_buffer, "w", format="mp4") as target:
        copy = target.add_stream_from_template(stream, opaque=True)
        for packet in source.demux(stream):
            if packet.dts is None or packet.pts is None:
                continue
            if (packet.dts - start_pts) * unit >= part.end - 1e-6:
                break
            first_time = packet.pts if first_time is None else first_time
            packet.pts, packet.dts, packet.stream = packet.pts - first_time, packet.dts - first_time, copy
            target.mux(packet)
    return video_buffer.getvalue(), max(0.0, part.start - ((first_time or 0) - start_pts) * unit)
