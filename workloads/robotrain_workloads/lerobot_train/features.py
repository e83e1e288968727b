"""Whether a trained policy can learn from a dataset: the same readings, cameras and actions, of the same shapes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_workloads.lerobot_train.trainer_args import value_of

STATE, WORLD, ACTION = "observation.state", "observation.environment_state", "action"
CHANNELS = ("channel", "channels")


class Place(NamedTuple):
    """Where features come from, for sentences: what it is called, and what it does with those that it has."""

    name: str
    does: str


DATASET = Place("the dataset", "record")


def unlike(
    settings: Mapping[str, Any], info: Mapping[str, Any], given: Sequence[str], at: Place = DATASET
) -> Iterator[str]:
    """One sentence for each feature that does not fit. given: the person's own trainer options, which may rename."""
    recorded = _renamed(info.get("features"), given)
    for name, shape in inputs(settings).items():
        if name not in recorded:
            yield _missing(name, recorded, at)
        elif name in (STATE, WORLD):
            yield from _sizes(name, shape, recorded[name], at)
        else:
            yield from _pictures(name, shape, picture(recorded[name]), settings, at)
    outputs = settings.get("output_features") or {}
    if ACTION in outputs and ACTION in recorded:
        yield from _sizes(ACTION, _shape(outputs[ACTION]), recorded[ACTION], at)


def unseen(settings: Mapping[str, Any], info: Mapping[str, Any], given: Sequence[str]) -> list[str]:
    """The dataset's cameras that the policy has no use for."""
    seen = inputs(settings)
    recorded = _renamed(info.get("features"), given)
    return [name for name in recorded if _is_camera(recorded[name]) and name not in seen] if seen else []


def inputs(settings: Mapping[str, Any]) -> dict[str, list[int]]:
    """What the network reads, of all that the settings name; nothing when the dataset decides."""
    found = settings.get("input_features") or {}
    return {
        name: _shape(feature)
        for name, feature in found.items()
        if name in (STATE, WORLD) or (isinstance(feature, dict) and feature.get("type") == "VISUAL")
    }


def _renamed(features: Any, given: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The dataset's features by the names that the policy will hear."""
    found = features if isinstance(features, dict) else {}
    try:
        names = json.loads(value_of(given, "--rename_map") or "{}")
    except ValueError:
        names = {}
    names = names if isinstance(names, dict) else {}
    return {str(names.get(name, name)): feature for name, feature in found.items() if isinstance(feature, dict)}


def _missing(name: str, recorded: Mapping[str, Mapping[str, Any]], at: Place) -> str:
    if name in (STATE, WORLD):
        return f"the policy reads {name}, which {at.name} does not {at.does}"
    cameras = [other for other, feature in recorded.items() if _is_camera(feature)]
    return f"the policy looks through {name}, and {at.name} has {_listed(cameras)}"


def _listed(cameras: Sequence[str]) -> str:
    return f"only {', '.join(cameras)}" if cameras else "no camera"


def _sizes(name: str, shape: Sequence[int], recorded: Mapping[str, Any], at: Place) -> Iterator[str]:
    there = _shape(recorded)
    if shape and there and list(shape) != there:
        yield f"{name} has {_values(there)} in {at.name}, and {_values(shape)} in the policy"


def _values(shape: Sequence[int]) -> str:
    return _count(shape[0], "value") if len(shape) == 1 else f"the shape {list(shape)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _pictures(
    name: str, shape: Sequence[int], there: Sequence[int], settings: Mapping[str, Any], at: Place
) -> Iterator[str]:
    """Shapes are channels, height, width. ACT takes any size; so does what resizes or crops first."""
    if len(shape) != 3 or len(there) != 3:
        return
    if shape[0] != there[0]:
        has, had = (_count(number, "channel") for number in (there[0], shape[0]))
        yield f"{name} has {has} in {at.name}, and {had} in the policy"
    elif settings.get("type") == "diffusion" and list(shape[1:]) != list(there[1:]) and not _resizes(settings, there):
        yield (
            f"{name} is {there[2]} wide and {there[1]} high in {at.name}, and the policy was trained with"
            f" {shape[2]} and {shape[1]}"
        )


def _resizes(settings: Mapping[str, Any], there: Sequence[int]) -> bool:
    if settings.get("resize_shape"):
        return True
    crop: Sequence[int] = settings.get("crop_shape") or []
    return len(crop) == 2 and crop[0] <= there[1] and crop[1] <= there[2]


def picture(feature: Mapping[str, Any]) -> list[int]:
    """Channels first, as a policy has them."""
    shape, names = _shape(feature), list(feature.get("names") or ())
    last = len(shape) == 3 and (names[2] in CHANNELS if len(names) == 3 else shape[2] <= 4)
    return [shape[2], shape[0], shape[1]] if last else shape


def _is_camera(feature: Mapping[str, Any]) -> bool:
    return feature.get("dtype") in ("image", "video")


def _shape(feature: Any) -> list[int]:
    shape = feature.get("shape") if isinstance(feature, Mapping) else None
    return list(shape) if isinstance(shape, list | tuple) else []
