"""What the features of datasets become before a trainer reads them. Standard library only.

LeRobot merges datasets whose features are told in the same words, down to what does not matter: its converter from v2.1
adds a frame rate to each, and each of its versions says something else about a video. What all say is kept.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

Features = dict[str, dict[str, Any]]

ENCODER = {f"video.{name}" for name in ("g", "crf", "preset", "fast_decode", "extra_options", "video_backend")}
"""How a video was encoded: LeRobot merges what differs in these."""
LEGACY = {"video.is_depth_map": "is_depth_map"}


def features(found: Mapping[str, Any]) -> Features:
    """Those of one dataset, from its description."""
    described = found.get("features")
    made = copy.deepcopy(described) if isinstance(described, dict) else {}
    for name in booleans(found):
        made[name]["dtype"] = "float32"
    return {name: _plain(one) for name, one in made.items() if isinstance(one, dict)}


def booleans(found: Mapping[str, Any]) -> list[str]:
    """The truth values that a policy would read or learn. LeRobot normalises those, and cannot subtract truths."""
    described = found.get("features")
    of = described.items() if isinstance(described, dict) else ()
    return [
        name
        for name, one in of
        if name.startswith(("observation", "action")) and isinstance(one, dict) and one.get("dtype") == "bool"
    ]


def shared(sets: Sequence[Features]) -> list[Features]:
    """The same, where each says of a video only what all say of it."""
    found = copy.deepcopy(list(sets))
    for name in {name for one in found for name, feature in one.items() if "info" in feature}:
        told = [feature.get("info", {}) for one in found if (feature := one.get(name)) is not None]
        said = set.intersection(*map(set, told)) | ENCODER
        for one in found:
            if name in one:
                info = one[name].get("info", {})
                one[name]["info"] = {key: value for key, value in info.items() if key in said}
    return found


def _plain(feature: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in feature.items() if name not in ("fps", "video_info")}
    info = feature.get("info") or feature.get("video_info")
    if not isinstance(info, dict):
        kept.pop("info", None)
        return kept
    return {**kept, "info": {LEGACY.get(name, name): value for name, value in info.items()}}
