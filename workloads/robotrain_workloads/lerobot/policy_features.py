"""Compatibility of a trained policy with a dataset or environment: same readings, cameras and actions, same shapes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_workloads.lerobot.dataset import get_features, list_cameras
from robotrain_workloads.lerobot.options import get_option_value

STATE, WORLD, ACTION = "observation.state", "observation.environment_state", "action"
CHANNELS = ("channel", "channels")
UNSCALED_TYPES = ("act", "diffusion", "tdmpc", "vqbet")
"""Types that take pictures as they are; others scale them to a size of their own."""


class FeatureOrigin(NamedTuple):
    """Where features come from, for sentences."""

    name: str
    verb: str
    """What the origin does with its features: `record`, `show`."""


DATASET_ORIGIN = FeatureOrigin("the dataset", "record")


def find_feature_mismatches(
    settings: Mapping[str, Any],
    info: Mapping[str, Any],
    options: Sequence[str],
    origin: FeatureOrigin = DATASET_ORIGIN,
    *,
    is_trained: bool = True,
) -> Iterator[str]:
    """Yield one sentence for each feature that does not match.

    options: those of the user, which may rename features.
    is_trained: whether the policy is trained on these features, so that ACT, or a crop, may get used to another size.
    """
    recorded = _rename_features(info, options)
    for name, shape in get_policy_inputs(settings).items():
        if name not in recorded and name in (STATE, WORLD):
            yield f"the policy reads {name}, which {origin.name} does not {origin.verb}"
        elif name not in recorded:
            cameras = ", ".join(other for other, feature in recorded.items() if _is_camera(feature))
            available = f"only {cameras}" if cameras else "no camera"
            yield f"the policy reads the camera {name}, but {origin.name} has {available}"
        elif name in (STATE, WORLD):
            yield from _compare_sizes(name, shape, recorded[name], origin)
        else:
            yield from _compare_images(name, shape, get_image_shape(recorded[name]), settings, origin, is_trained)
    outputs = settings.get("output_features") or {}
    if ACTION in outputs and ACTION in recorded:
        yield from _compare_sizes(ACTION, _get_shape(outputs[ACTION]), recorded[ACTION], origin)


def list_unused_cameras(settings: Mapping[str, Any], info: Mapping[str, Any], options: Sequence[str]) -> list[str]:
    """Return the dataset's cameras that the policy does not read."""
    inputs, recorded = get_policy_inputs(settings), _rename_features(info, options)
    return [name for name in recorded if _is_camera(recorded[name]) and name not in inputs] if inputs else []


def get_policy_inputs(settings: Mapping[str, Any]) -> dict[str, list[int]]:
    """Return what the network reads of the features in the settings; nothing when the dataset decides."""
    features = settings.get("input_features") or {}
    return {
        name: _get_shape(feature)
        for name, feature in features.items()
        if name in (STATE, WORLD) or (isinstance(feature, dict) and feature.get("type") == "VISUAL")
    }


def make_new_settings(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs and outputs of a new policy for a dataset."""
    features = get_features(info)
    names = (STATE, WORLD)
    vectors = {name: {"shape": features[name].get("shape")} for name in names if name in features}
    images = {name: {"type": "VISUAL", "shape": get_image_shape(features[name])} for name in list_cameras(info)}
    return {
        "input_features": vectors | images,
        "output_features": {ACTION: features[ACTION]},
    }


def _rename_features(info: Mapping[str, Any], options: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    try:
        names = json.loads(get_option_value(options, "--rename_map") or "{}")
    except ValueError:
        names = {}
    names = names if isinstance(names, dict) else {}
    return {str(names.get(name, name)): feature for name, feature in get_features(info).items()}


def _compare_sizes(
    name: str, shape: Sequence[int], recorded: Mapping[str, Any], origin: FeatureOrigin
) -> Iterator[str]:
    available = _get_shape(recorded)
    if shape and available and list(shape) != available:
        yield f"{name} has {_describe_size(available)} in {origin.name}, but {_describe_size(shape)} in the policy"


def _describe_size(shape: Sequence[int]) -> str:
    return _format_count(shape[0], "value") if len(shape) == 1 else f"the shape {list(shape)}"


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _compare_images(
    name: str,
    shape: Sequence[int],
    available: Sequence[int],
    settings: Mapping[str, Any],
    origin: FeatureOrigin,
    is_trained: bool,
) -> Iterator[str]:
    """Compare shapes of channels, height, width. ACT can be trained with any size; so can a policy that crops."""
    if len(shape) != 3 or len(available) != 3:
        return
    if shape[0] != available[0]:
        recorded_channels, policy_channels = (_format_count(number, "channel") for number in (available[0], shape[0]))
        yield f"{name} has {recorded_channels} in {origin.name}, but {policy_channels} in the policy"
        return
    crop: Sequence[int] = settings.get("crop_shape") or []
    is_cropped = len(crop) == 2 and crop[0] <= available[1] and crop[1] <= available[2]
    kind = settings.get("type")
    takes_any_size = settings.get("resize_shape") or (
        (kind != "diffusion" or is_cropped) if is_trained else kind not in UNSCALED_TYPES
    )
    if not takes_any_size and list(shape[1:]) != list(available[1:]):
        yield (
            f"{name} is {available[2]} wide and {available[1]} high in {origin.name}, but the policy was trained with"
            f" {shape[2]} and {shape[1]}"
        )


def get_image_shape(feature: Mapping[str, Any]) -> list[int]:
    """Return the shape with the channels first, as a policy has it."""
    shape, names = _get_shape(feature), list(feature.get("names") or ())
    channels_last = len(shape) == 3 and (names[2] in CHANNELS if len(names) == 3 else shape[2] <= 4)
    return [shape[2], shape[0], shape[1]] if channels_last else shape


def _is_camera(feature: Mapping[str, Any]) -> bool:
    return feature.get("dtype") in ("image", "video")


def _get_shape(feature: Any) -> list[int]:
    shape = feature.get("shape") if isinstance(feature, Mapping) else None
    return list(shape) if isinstance(shape, list | tuple) else []
