"""Pictures of a camera in one episode: a strip of small ones, and the part of its video that a page can play."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import av
import numpy as np
from PIL import Image

from robotrain_workloads.dataset_check import load, table_files
from robotrain_workloads.dataset_check.load import Recorded
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
        stream = source.streams.video[0]
        codec = stream.codec_context.codec.canonical_name
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
