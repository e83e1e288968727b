"""What a job says about decoded frames, and how large they get. Standard library only."""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from robotrain_runtime.machine.disk_cache import GIB

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.job import LerobotJob

OFF = "off"
GB = 10**9


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
