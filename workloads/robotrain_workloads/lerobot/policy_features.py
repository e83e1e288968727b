"""Whether a trained policy can learn from a dataset: the same readings, cameras and actions, of the same shapes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_workloads.lerobot.options import get_option_value

STATE, WORLD, ACTION = "observation.state", "observation.environment_state", "action"
CHANNELS = ("channel", "channels")


class FeatureOrigin(NamedTuple):
    """Where features come from, for sentences: what it is called, and what it does with those that it has."""

    name: str
    verb: str


DATASET_ORIGIN = FeatureOrigin("the dataset", "record")


def find_feature_mismatches(
    settings: Mapping[str, Any], info: Mapping[str, Any], options: Sequence[str], origin: FeatureOrigin = DATASET_ORIGIN
) -> Iterator[str]:
    """One sentence for each feature that does not fit. given: the person's own trainer options, which may rename."""
    recorded = _rename_features(info.get("features"), options)
    for name, shape in get_policy_inputs(settings).items():
        if name not in recorded:
            yield _describe_missing(name, recorded, origin)
        elif name in (STATE, WORLD):
            yield from _compare_sizes(name, shape, recorded[name], origin)
        else:
            yield from _compare_images(name, shape, get_image_shape(recorded[name]), settings, origin)
    outputs = settings.get("output_features") or {}
    if ACTION in outputs and ACTION in recorded:
        yield from _compare_sizes(ACTION, _get_shape(outputs[ACTION]), recorded[ACTION], origin)


def list_unused_cameras(settings: Mapping[str, Any], info: Mapping[str, Any], options: Sequence[str]) -> list[str]:
    """The dataset's cameras that the policy has no use for."""
    seen = get_policy_inputs(settings)
    recorded = _rename_features(info.get("features"), options)
    return [name for name in recorded if _is_camera(recorded[name]) and name not in seen] if seen else []


def get_policy_inputs(settings: Mapping[str, Any]) -> dict[str, list[int]]:
    """What the network reads, of all that the settings name; nothing when the dataset decides."""
    found = settings.get("input_features") or {}
    return {
        name: _get_shape(feature)
        for name, feature in found.items()
        if name in (STATE, WORLD) or (isinstance(feature, dict) and feature.get("type") == "VISUAL")
    }


def _rename_features(features: Any, options: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The dataset's features by the names that the policy will hear."""
    found = features if isinstance(features, dict) else {}
    try:
        names = json.loads(get_option_value(options, "--rename_map") or "{}")
    except ValueError:
        names = {}
    names = names if isinstance(names, dict) else {}
    return {str(names.get(name, name)): feature for name, feature in found.items() if isinstance(feature, dict)}


def _describe_missing(name: str, recorded: Mapping[str, Mapping[str, Any]], origin: FeatureOrigin) -> str:
    if name in (STATE, WORLD):
        return f"the policy reads {name}, which {origin.name} does not {origin.verb}"
    cameras = [other for other, feature in recorded.items() if _is_camera(feature)]
    return f"the policy looks through {name}, and {origin.name} has {_list_cameras(cameras)}"


def _list_cameras(cameras: Sequence[str]) -> str:
    return f"only {', '.join(cameras)}" if cameras else "no camera"


def _compare_sizes(
    name: str, shape: Sequence[int], recorded: Mapping[str, Any], origin: FeatureOrigin
) -> Iterator[str]:
    there = _get_shape(recorded)
    if shape and there and list(shape) != there:
        yield f"{name} has {_describe_size(there)} in {origin.name}, and {_describe_size(shape)} in the policy"


def _describe_size(shape: Sequence[int]) -> str:
    return _format_count(shape[0], "value") if len(shape) == 1 else f"the shape {list(shape)}"


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _compare_images(
    name: str, shape: Sequence[int], available: Sequence[int], settings: Mapping[str, Any], origin: FeatureOrigin
) -> Iterator[str]:
    """Shapes are channels, height, width. ACT takes any size; so does what resizes or crops first."""
    if len(shape) != 3 or len(available) != 3:
        return
    if shape[0] != available[0]:
        has, had = (_format_count(number, "channel") for number in (available[0], shape[0]))
        yield f"{name} has {has} in {origin.name}, and {had} in the policy"
    elif (
        settings.get("type") == "diffusion"
        and list(shape[1:]) != list(available[1:])
        and not _resizes_images(settings, available)
    ):
        yield (
            f"{name} is {available[2]} wide and {available[1]} high in {origin.name}, and the policy was trained with"
            f" {shape[2]} and {shape[1]}"
        )


def _resizes_images(settings: Mapping[str, Any], available: Sequence[int]) -> bool:
    if settings.get("resize_shape"):
        return True
    crop: Sequence[int] = settings.get("crop_shape") or []
    return len(crop) == 2 and crop[0] <= available[1] and crop[1] <= available[2]


def get_image_shape(feature: Mapping[str, Any]) -> list[int]:
    """Channels first, as a policy has them."""
    shape, names = _get_shape(feature), list(feature.get("names") or ())
    last = len(shape) == 3 and (names[2] in CHANNELS if len(names) == 3 else shape[2] <= 4)
    return [shape[2], shape[0], shape[1]] if last else shape


def _is_camera(feature: Mapping[str, Any]) -> bool:
    return feature.get("dtype") in ("image", "video")


def _get_shape(feature: Any) -> list[int]:
    shape = feature.get("shape") if isinstance(feature, Mapping) else None
    return list(shape) if isinstance(shape, list | tuple) else []
