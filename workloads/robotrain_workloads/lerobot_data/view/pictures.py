"""Pictures of a camera in one episode: a strip of small ones, and the part of its video that a page can play."""

import base64
import importlib
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data.quality.pictures import VideoDecoder
from robotrain_workloads.lerobot_data.view.episode_rows import read_pictures
from robotrain_workloads.lerobot_data_check.episode_files import VideoPlace
from robotrain_workloads.lerobot_data_check.recording import Array, RecordedDataset

PICTURES = 16
"""Of a strip."""
WIDTH, QUALITY = 160, 72
"""Of a picture, in pixels, and of its JPEG."""
LARGEST_CLIP, LARGEST_CLIPS = 8_000_000, 20_000_000
"""Bytes of one video in a page, and of all of them."""
PLAYABLE = ("h264", "av1", "vp9", "vp8")
"""The codecs of videos that browsers play."""


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


def choose_frames(length: int) -> list[int]:
    """Return the frames of a strip: the first, the last, and some evenly between them."""
    return sorted({round(float(frame)) for frame in np.linspace(0, max(length - 1, 0), min(PICTURES, max(length, 1)))})


def make_strip(recording: RecordedDataset, episode: int, camera: str, length: int, room: int) -> CameraStrip:
    """Return the strip of a camera; what cannot be read is said in it.

    :param room: how many bytes the video may have.
    """
    strip = CameraStrip(camera, [])
    frames = choose_frames(length)
    pictures = dict[int, Array]()
    try:
        if recording.features[camera].get("dtype") == "image":
            for frame, picture_bytes in read_pictures(recording, episode, camera, frames):
                if (picture := _open_image(picture_bytes)) is not None:
                    pictures[frame] = picture
        else:
            strip.part = recording.episodes.find_video(camera, episode)
            for frame, image in decode_frames(recording, strip.part, frames):
                pictures[frame] = _shrink(image)
            if pictures:
                _add_clip(strip, recording, room)
    except FileNotFoundError:
        strip.problem = f"{strip.part.path if strip.part else camera} does not exist"
    except (OSError, ValueError, LookupError, importlib.import_module("av").error.FFmpegError) as error:
        reason = getattr(error, "strerror", "") or error
        strip.problem = f"{strip.part.path if strip.part else camera} cannot be read: {reason}"
    missing_count = len(frames) - len(pictures)
    if missing_count and not strip.problem:
        strip.problem = f"{missing_count} of {len(frames)} pictures do not exist, or cannot be read"
    strip.pictures = [(frame, _encode(picture)) for frame, picture in sorted(_scale_distances(pictures).items())]
    return strip


def _open_image(picture_bytes: bytes) -> Array | None:
    """Return a small picture; None if it cannot be read."""
    try:
        return _shrink(Image.open(io.BytesIO(picture_bytes)))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def decode_frames(
    recording: RecordedDataset, video_place: VideoPlace, frames: Collection[int]
) -> Iterator[tuple[int, Any]]:
    """Yield the pictures of some frames, in order. Raise what PyAV raises."""
    with (
        recording.files.open(video_place.path) as open_file,
        importlib.import_module("av").open(open_file) as container,
    ):
        decoder = VideoDecoder(container, recording.fps)
        for frame in frames:
            if (picture := decoder.find(video_place.start + frame / recording.fps)) is not None:
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


def _add_clip(strip: CameraStrip, recording: RecordedDataset, remaining_bytes: int) -> None:
    """Add the part of the video to a strip, or why it has none."""
    video_place = strip.part
    assert video_place is not None
    with recording.files.open(video_place.path) as open_file, importlib.import_module("av").open(open_file) as source:
        stream = source.streams.video[0]
        codec = stream.codec_context.codec.canonical_name
        is_depth = dataset.is_depth(recording.features[strip.name])
        seconds = float(source.duration or 0) / 1e6
        shown_share = min(1.0, (video_place.end - video_place.start) / seconds) if seconds else 1.0
        if is_depth:
            strip.remark = "a browser plays no video of distances"
        elif codec not in PLAYABLE:
            strip.remark = f"a browser plays no video of the codec {codec}"
        elif recording.files.get_size(video_place.path) * shown_share > min(remaining_bytes, LARGEST_CLIP):
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
    with importlib.import_module("av").open(video_buffer, "w", format="mp4") as target:
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
