"""Which frames of a dataset are kept, and where: by the content of its videos, and by what decodes them.

`make_plan` imports PyAV, and so numpy, which starts threads.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.checkpoint import hash_file
from robotrain_runtime.machine.disk_cache import GIB, LOCK_SUFFIX

from robotrain_workloads.lerobot import dataset, ffmpeg_libraries
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot_train.frames.frame_file import identify_file

OFF = "off"
GB = 10**9
FORMAT = 1
"""Of the files; another one has other folders."""
FOLDER = "frames"
"""That of the cache's entries."""


@dataclass(frozen=True, kw_only=True)
class PlannedVideo:
    """A video whose frames are kept."""

    path: str
    identity: tuple[int, ...]
    """Of the file that was read: another one in its place is decoded."""
    file: str
    """Where its frames are, without the suffix."""
    rate: float
    """Frames a second: a time times the rate, rounded, is a frame's slot."""
    slots: int
    """How many are kept, from the first one on."""
    height: int
    width: int

    @property
    def frame_bytes(self) -> int:
        """The bytes of a frame."""
        return 3 * self.height * self.width


@dataclass(frozen=True, kw_only=True)
class FramePlan:
    """The videos of a dataset whose frames are kept."""

    folder: str
    """An entry of the cache."""
    backend: str
    tolerance: float
    videos: tuple[PlannedVideo, ...]

    @property
    def size(self) -> int:
        """The bytes of all frames that are kept."""
        return sum(video.slots * video.frame_bytes for video in self.videos)


def load_plan(plan_json: str) -> FramePlan:
    """Return the plan that was written as JSON."""
    plan_fields = json.loads(plan_json)
    videos = (PlannedVideo(**{**video, "identity": tuple(video["identity"])}) for video in plan_fields.pop("videos"))
    return FramePlan(videos=tuple(videos), **plan_fields)


def make_plan(root: Path, cache: Path, backend: str, tolerance: float, limit: int) -> FramePlan:
    """Return the plan for a dataset, of at most `limit` bytes, by the content of its videos. Raise OSError."""
    decoder = ffmpeg_libraries.describe_decoder(backend)
    content_hash = hashlib.sha256(json.dumps([FORMAT, decoder, tolerance]).encode())
    videos = []
    for path in list_videos(root):
        identity = identify_file(path)
        digest = hash_file(path)
        content_hash.update(digest.encode())
        video = _describe_video(path, identity, digest)
        if video and identify_file(path) == identity:
            videos.append(video)
    folder = cache.absolute() / FOLDER / content_hash.hexdigest()[:16]
    limited_videos = tuple(_limit(videos, folder, limit))
    return FramePlan(folder=str(folder), backend=backend, tolerance=tolerance, videos=limited_videos)


def list_videos(root: Path) -> Iterator[Path]:
    """Yield the videos of a dataset whose frames are kept, in one order."""
    for name, feature in sorted(dataset.get_features(dataset.load_dataset_info(root)).items()):
        if is_kept(feature):
            yield from sorted((root / "videos" / name).glob("*/*.mp4"))


def _describe_video(path: Path, identity: tuple[int, ...], digest: str) -> PlannedVideo | None:
    """Return a video without its folder; None if its frames are not counted, or it cannot be opened."""
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames, rate = stream.frames, stream.average_rate
            height, width = stream.codec_context.height, stream.codec_context.width
    except (av.FFmpegError, IndexError, ValueError, OSError):  # the training names it, once it reads it
        return None
    if not frames or not rate or not height or not width:
        return None
    return PlannedVideo(
        path=str(path),
        identity=identity,
        file=digest[:32],
        rate=float(Fraction(rate)),
        **{"slots": frames, "height": height, "width": width},
    )


def _limit(videos: list[PlannedVideo], folder: Path, limit: int) -> Iterator[PlannedVideo]:
    """Yield the videos with their files, and of the last ones as many frames as there is space for."""
    remaining_bytes = limit
    for video in videos:
        slots = min(video.slots, math.floor(remaining_bytes / video.frame_bytes))
        remaining_bytes -= slots * video.frame_bytes
        yield PlannedVideo(**{**asdict(video), "slots": slots, "file": str(folder / video.file)})


def make_entry(folder: Path) -> None:
    """Make an entry of the cache, which others of the same content use too. Raise OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.with_name(folder.name + LOCK_SUFFIX).touch(mode=0o600)


def make_settings(job: LerobotJob) -> dict[str, object]:
    """Return the folder of the cache, `on` or `auto`, and limits in bytes or None; empty if no frames are kept."""
    mode, size, placement = job.parameters["frame_cache"], job.parameters["frame_cache_size"], job.document.placement
    if mode == OFF:
        return {}
    cache_limit = None if placement.cache_gib is None else round(placement.cache_gib * GIB)
    limit = round(size * GB) if size else None
    return {"cache": placement.cache, "mode": mode, "limit": limit, "cache_limit": cache_limit}


def count_frame_bytes(info: Mapping[str, Any]) -> int:
    """Return the bytes of all decoded frames of the videos, without depth; 0 if there are none, or the sizes lack."""
    total = 0
    with suppress(KeyError, TypeError, ValueError):
        for feature in filter(is_kept, dataset.get_features(info).values()):
            total += int(info["total_frames"]) * math.prod(int(length) for length in feature["shape"])
    return total


def is_kept(feature: Mapping[str, Any]) -> bool:
    """Return whether the frames of a feature are kept: those of a video, whose pixels are bytes."""
    return feature.get("dtype") == "video" and not dataset.is_depth(feature)
