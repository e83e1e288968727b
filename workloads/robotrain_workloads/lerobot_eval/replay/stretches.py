"""What of a dataset is read for a policy, and how many frames of it at once. Standard library only."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from robotrain_workloads.lerobot_eval.loaded import Loaded

OBSERVATION = "observation."
MEMORY = 256 << 20
"""Bytes of images that a stretch of frames may take."""
LONGEST = 64
WIDTHS = {"video": 1, "image": 4}


def wanted(loaded: Loaded, features: Mapping[str, Any]) -> list[str]:
    """The features that the policy looks at, under the names that the dataset has for them."""
    looked_at = set(loaded.policy.config.input_features or ())
    for step in loaded.before.steps:
        renamed = getattr(step, "rename_map", None) or {}
        looked_at |= {name for name, other in renamed.items() if other in looked_at}
    return [name for name in features if name.startswith(OBSERVATION) and name in looked_at]


def length(features: Mapping[str, Any], keys: Sequence[str], batch: int) -> int:
    """Frames of a stretch, so that those of a whole batch of episodes fit into the memory."""
    images = [features[key] for key in keys if features[key]["dtype"] in WIDTHS]
    frame: int = sum(WIDTHS[image["dtype"]] * math.prod(image["shape"]) for image in images)
    return max(1, min(LONGEST, MEMORY // max(1, frame * batch)))


def names(feature: Mapping[str, Any]) -> list[str]:
    """What the numbers of an action are called; those without a name are numbered."""
    count, said = math.prod(feature["shape"]), feature.get("names")
    if isinstance(said, Mapping):
        said = next(iter(said.values()), None)
    told = [str(name) for name in said] if isinstance(said, Sequence) and not isinstance(said, str) else []
    if len(told) == count == len(set(told)):
        return told
    return [f"action_{number}" for number in range(count)]
