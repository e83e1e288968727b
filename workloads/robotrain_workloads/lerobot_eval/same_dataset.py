"""Whether a dataset is the one that a policy was trained on: its values have the statistics that the policy normalises
with. Standard library only.
"""

import json
import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_train import dataset, json_object, policy

FEATURES = ("action", "observation.state")
COMPARED = ("count", "mean", "std", "min", "max")
NEEDED = ("mean", "std")
STEPS = {"policy_preprocessor.json": "normalizer_processor", "policy_postprocessor.json": "unnormalizer_processor"}
WIDTHS = {"F32": "f", "F64": "d", "I64": "q", "I32": "i"}
LIKE = 1e-5
"""Policies keep statistics in 32 bits."""

Statistics = Mapping[str, tuple[float, ...]]
"""By `FEATURE.STATISTIC`."""


def same(root: Path, model: Path) -> bool:
    """Whether all that both know agrees. Raises OSError or ValueError for files that are not what they should be."""
    ours, theirs = _of_dataset(root), _of_policy(model)
    known = ours.keys() & theirs.keys()
    enough = {f"action.{name}" for name in NEEDED} <= known
    return enough and all(_alike(ours[name], theirs[name]) for name in known)


def _alike(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return len(one) == len(other) and all(
        math.isclose(a, b, rel_tol=LIKE, abs_tol=LIKE) for a, b in zip(one, other, strict=True)
    )


def _of_dataset(root: Path) -> Statistics:
    found = json_object.read(root / dataset.STATISTICS)
    return {
        f"{feature}.{name}": tuple(map(float, values))
        for feature in FEATURES
        for name, values in (found.get(feature) or {}).items()
        if name in COMPARED and isinstance(values, list)
    }


def _of_policy(model: Path) -> Statistics:
    """Of the first processor that has any."""
    return next(_kept(model), {})


def _kept(model: Path) -> Iterator[Statistics]:
    wanted = {f"{feature}.{name}" for feature in FEATURES for name in COMPARED}
    for file, kind in STEPS.items():
        steps = json_object.read(model / file).get("steps") or ()
        for step in steps:
            if step.get("registry_name") == kind and step.get("state_file"):
                yield {name: values for name, values in tensors(model / step["state_file"]).items() if name in wanted}


def tensors(path: Path) -> dict[str, tuple[float, ...]]:
    """The numbers in a small safetensors file, by name. Raises OSError or ValueError."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if length > policy.LONGEST_HEADER:
        raise ValueError(f"{path} is no safetensors file")
    try:
        return {
            name: _numbers(content[8 + length :], tensor)
            for name, tensor in json.loads(content[8 : 8 + length]).items()
            if name != "__metadata__" and tensor["dtype"] in WIDTHS
        }
    except (KeyError, TypeError, AttributeError, struct.error):
        raise ValueError(f"{path} is no whole safetensors file") from None


def _numbers(content: bytes, tensor: Mapping[str, Any]) -> tuple[float, ...]:
    begin, end = tensor["data_offsets"]
    letter = WIDTHS[tensor["dtype"]]
    return struct.unpack(f"<{(end - begin) // struct.calcsize(letter)}{letter}", content[begin:end])
