"""Compatibility of a trained policy with a dataset or environment: same readings, cameras and actions, same shapes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.problem import Problem, make_data_problem

from robotrain_workloads.lerobot.dataset import get_features, list_cameras
from robotrain_workloads.lerobot.feature_renames import find_likely_renames, format_flag
from robotrain_workloads.lerobot.versions import ModelType

STATE, WORLD, ACTION = "observation.state", "observation.environment_state", "action"
PADDED_STATE = {STATE: "max_state_dim"}
"""The option that all types that pad the state, or read it as text, have in common."""
CHANNELS = ("channel", "channels")
EMPTY_CAMERA = "observation.images.empty_camera_"
"""Prefix of cameras that a policy reserves and nobody has: it sees black."""
UNKNOWN_TYPE = ModelType(resizes=True)
"""A type that LeRobot does not have: a package of the user may."""


class FeatureOrigin(NamedTuple):
    """Where features come from, for sentences."""

    name: str
    verb: str
    """What the origin does with its features: `record`, `show`."""


DATASET_ORIGIN = FeatureOrigin("the dataset", "record")


def find_feature_mismatches(
    settings: Mapping[str, Any],
    info: Mapping[str, Any],
    renames: Mapping[str, str],
    model: ModelType,
    origin: FeatureOrigin = DATASET_ORIGIN,
    *,
    is_trained: bool = True,
) -> Iterator[Problem | str]:
    """Yield one sentence for each feature that does not match.

    renames: features of the dataset that have another name for the policy.
    model: the policy's type.
    is_trained: whether the policy is trained on these features, so that ACT, or a crop, may get used to another size.
    """
    recorded = rename_features(info, renames)
    inputs = get_policy_inputs(settings)
    for name in (STATE, WORLD):
        if name in inputs and name not in recorded:
            yield f"the policy reads {name}, which {origin.name} does not {origin.verb}"
        elif name in inputs and not pads_feature(
            name, model, settings, sum(_get_shape(recorded[name])), None if is_trained else sum(inputs[name])
        ):
            yield from _compare_sizes(name, inputs[name], recorded[name], origin)
    yield from _find_missing_cameras(inputs, info, renames, model, origin, is_trained)
    for name in (name for name in inputs if name in recorded and name not in (STATE, WORLD)):
        available = get_image_shape(recorded[name])
        yield from _compare_images(name, inputs[name], available, settings, model, origin, is_trained)
    outputs = settings.get("output_features") or {}
    actions = sum(_get_shape(recorded.get(ACTION)))
    if ACTION in outputs and ACTION in recorded and not (is_trained and pads_feature(ACTION, model, settings, actions)):
        yield from _compare_sizes(ACTION, _get_shape(outputs[ACTION]), recorded[ACTION], origin)


def pads_feature(
    name: str, model: ModelType, settings: Mapping[str, Any], size: int, trained_size: int | None = None
) -> bool:
    """Return whether the type pads a feature to a size, which `size` does not exceed.

    :param trained_size: of a policy that is not trained further, its own size of the feature: its statistics have no
        other one, unless that is the padded size itself.
    """
    largest = get_padded_size(name, model, settings)
    return largest is not None and size <= largest and trained_size in (None, largest)


def get_padded_size(name: str, model: ModelType, settings: Mapping[str, Any]) -> int | None:
    """Return the size that the type pads a feature to; None if it does not."""
    largest = settings.get(model.largest_sizes.get(name) or PADDED_STATE.get(name, ""))
    return largest if isinstance(largest, int) else None


def scales_pictures(model: ModelType, settings: Mapping[str, Any]) -> bool:
    """Return whether a policy brings pictures of any size to a size of its own."""
    return model.resizes or any(value for key, value in settings.items() if "resize" in key)


def _find_missing_cameras(
    inputs: Mapping[str, Any],
    info: Mapping[str, Any],
    renames: Mapping[str, str],
    model: ModelType,
    origin: FeatureOrigin,
    is_trained: bool,
) -> Iterator[Problem | str]:
    """Yield a sentence if cameras that the policy reads are missing, with the likely renames."""
    missing, unused, available = _match_cameras(inputs, info, renames)
    may_be_absent = model.takes_absent_cameras and origin is DATASET_ORIGIN  # a simulator shows all or none
    is_any_known = any(name in available for name in inputs)
    if not missing or (may_be_absent and is_any_known and (renames or not unused)):  # who renames some means it
        return
    reads = f"the policy reads the camera{'s' * (len(missing) > 1)} {', '.join(missing)}"
    cameras = f"only {', '.join(available)}" if available else "no camera"
    original = {renames.get(name, name): name for name in list_cameras(info)}
    likely = find_likely_renames(missing, unused, may_be_absent=may_be_absent)
    likely = {original[name]: renamed for name, renamed in likely.items()}
    way = format_flag({**renames, **likely}) if likely and is_trained else ""
    yield make_data_problem(f"{reads}, but {origin.name} has {cameras}", way)


def _match_cameras(
    inputs: Mapping[str, Any], info: Mapping[str, Any], renames: Mapping[str, str]
) -> tuple[list[str], list[str], list[str]]:
    """Return the policy's cameras that the dataset lacks, those of the dataset that the policy does not read, and all
    of the dataset, by their new names."""
    available = [renames.get(name, name) for name in list_cameras(info)]
    read = [name for name in inputs if name not in (STATE, WORLD)]
    return [name for name in read if name not in available], [name for name in available if name not in read], available


def list_camera_warnings(
    settings: Mapping[str, Any], info: Mapping[str, Any], renames: Mapping[str, str]
) -> Iterator[str]:
    """Yield a sentence on cameras that only the dataset has, and one on those that only the policy has."""
    inputs = get_policy_inputs(settings)
    missing, unused, _ = _match_cameras(inputs, info, renames) if inputs else ([], [], [])
    if unused:
        yield f"the policy was trained without {', '.join(unused)}, and ignores {_refer_to(unused)}"
    if missing:
        yield f"the dataset has no {', '.join(missing)}: the policy is trained without {_refer_to(missing)}"


def _refer_to(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def get_policy_inputs(settings: Mapping[str, Any]) -> dict[str, list[int]]:
    """Return what the network reads of the features in the settings; nothing when the dataset decides.

    Cameras that are reserved for none do not count.
    """
    features = settings.get("input_features") or {}
    return {
        name: _get_shape(feature)
        for name, feature in features.items()
        if name in (STATE, WORLD)
        or (isinstance(feature, dict) and feature.get("type") == "VISUAL" and not name.startswith(EMPTY_CAMERA))
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


def rename_features(info: Mapping[str, Any], renames: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Return the features of the dataset by the names that they have for the policy."""
    return {renames.get(name, name): feature for name, feature in get_features(info).items()}


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
    model: ModelType,
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
    crop: Sequence[int] = settings.get(model.crop_option or "crop_shape") or []
    is_cropped = len(crop) == 2 and crop[0] <= available[1] and crop[1] <= available[2]
    is_resized = scales_pictures(model, settings)
    takes_any_size = is_resized or (is_trained and (is_cropped or not model.picture_sized))
    if not takes_any_size and list(shape[1:]) != list(available[1:]):
        yield (
            f"{name} is {available[2]} wide and {available[1]} high in {origin.name}, but the policy was trained with"
            f" {shape[2]} and {shape[1]}"
        )


def get_image_shape(feature: Mapping[str, Any]) -> list[int]:
    """Return the shape with the channels first, as a policy has it."""
    shape = _get_shape(feature)
    names = list(feature.get("names") or ())
    channels_last = len(shape) == 3 and (names[2] in CHANNELS if len(names) == 3 else shape[2] <= 4)
    return [shape[2], shape[0], shape[1]] if channels_last else shape


def _get_shape(feature: Any) -> list[int]:
    shape = feature.get("shape") if isinstance(feature, Mapping) else None
    return list(shape) if isinstance(shape, list | tuple) else []
