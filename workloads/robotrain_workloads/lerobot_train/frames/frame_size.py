"""How large the decoded frames of a dataset are, by its description. Standard library only."""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from robotrain_workloads.lerobot import dataset


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
