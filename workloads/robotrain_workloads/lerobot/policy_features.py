"""Compatibility of a trained policy with a dataset or environment: same readings, cameras and actions, same shapes."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.problem import Problems

from robotrain_workloads.lerobot.dataset import get_features, list_cameras
from robotrain_workloads.lerobot.trained_model import TrainedModel
from robotrain_workloads.lerobot.versions import ModelType

if TYPE_CHECKING:
    from robotrain_runtime.contract.event import Note

RENAME_FLAG = "--rename"
RENAME_OPTION = "--rename_map"
RENAME_STEP = "rename_observations_processor"
"""What LeRobot calls the step of a saved processor that renames features."""
OBSERVATION = "observation"
"""What names of features that can be renamed begin with."""
IDENTITY = "IDENTITY"
"""How LeRobot normalizes what stays as it is."""
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
) -> Iterator[str]:
    """Yield one sentence for each feature that does not match.

    renames: features of the dataset that have another name for the policy.
    model: the policy's type.
    is_trained: whether the policy is trained on these features, so that ACT, or a crop, may get used to another size.
    """
    recorded_features = rename_features(info, renames)
    inputs = get_policy_inputs(settings)
    for name in (STATE, WORLD):
        if name in inputs and name not in recorded_features:
            yield f"the policy reads {name}, which {origin.name} does not {origin.verb}"
        elif name in inputs and not pads_feature(
            name, model, settings, sum(_get_shape(recorded_features[name])), None if is_trained else sum(inputs[name])
        ):
            yield from _compare_sizes(name, inputs[name], recorded_features[name], origin)
    yield from _find_missing_cameras(inputs, info, renames, model, origin)
    for name in (name for name in inputs if name in recorded_features and name not in (STATE, WORLD)):
        available_shape = get_image_shape(recorded_features[name])
        yield from _compare_images(name, inputs[name], available_shape, settings, model, origin, is_trained)
    outputs = settings.get("output_features") or {}
    actions = sum(_get_shape(recorded_features.get(ACTION)))
    if (
        ACTION in outputs
        and ACTION in recorded_features
        and not (is_trained and pads_feature(ACTION, model, settings, actions))
    ):
        yield from _compare_sizes(ACTION, _get_shape(outputs[ACTION]), recorded_features[ACTION], origin)


def pads_feature(
    name: str, model: ModelType, settings: Mapping[str, Any], size: int, trained_size: int | None = None
) -> bool:
    """Return whether the type pads a feature to a size, which `size` does not exceed.

    :param trained_size: of a policy that is not trained further, its own size of the feature: its statistics have no
        other one, unless that is the padded size itself.
    """
    largest_size = get_padded_size(name, model, settings)
    return largest_size is not None and size <= largest_size and trained_size in (None, largest_size)


def get_padded_size(name: str, model: ModelType, settings: Mapping[str, Any]) -> int | None:
    """Return the size that the type pads a feature to; None if it does not."""
    largest_size = settings.get(model.largest_sizes.get(name) or PADDED_STATE.get(name, ""))
    return largest_size if isinstance(largest_size, int) else None


def scales_pictures(model: ModelType, settings: Mapping[str, Any]) -> bool:
    """Return whether a policy brings pictures of any size to a size of its own."""
    return model.resizes or any(value for key, value in settings.items() if "resize" in key)


def _find_missing_cameras(
    inputs: Mapping[str, Any],
    info: Mapping[str, Any],
    renames: Mapping[str, str],
    model: ModelType,
    origin: FeatureOrigin,
) -> Iterator[str]:
    """Yield a sentence if cameras that the policy reads are missing."""
    available_cameras = [renames.get(name, name) for name in list_cameras(info)]
    policy_cameras = [name for name in inputs if name not in (STATE, WORLD)]
    missing_cameras = [name for name in policy_cameras if name not in available_cameras]
    unused_cameras = [name for name in available_cameras if name not in policy_cameras]
    may_be_absent = model.takes_absent_cameras and origin is DATASET_ORIGIN  # a simulator shows all or none
    is_meant = renames or not unused_cameras  # who renames some means it
    if missing_cameras and not (may_be_absent and len(missing_cameras) < len(policy_cameras) and is_meant):
        plural = "s" * (len(missing_cameras) > 1)
        cameras = f"only {', '.join(available_cameras)}" if available_cameras else "no camera"
        yield f"the policy reads the camera{plural} {', '.join(missing_cameras)}, but {origin.name} has {cameras}"


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
    vector_names = (STATE, WORLD)
    vectors = {name: {"shape": features[name].get("shape")} for name in vector_names if name in features}
    images = {name: {"type": "VISUAL", "shape": get_image_shape(features[name])} for name in list_cameras(info)}
    return {
        "input_features": vectors | images,
        "output_features": {ACTION: features[ACTION]},
    }


def rename_features(info: Mapping[str, Any], renames: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Return the features of the dataset by the names that they have for the policy."""
    return {renames.get(name, name): feature for name, feature in get_features(info).items()}


def _compare_sizes(
    name: str, shape: Sequence[int], recorded_feature: Mapping[str, Any], origin: FeatureOrigin
) -> Iterator[str]:
    available_shape = _get_shape(recorded_feature)
    if shape and available_shape and list(shape) != available_shape:
        yield (
            f"{name} has {_describe_size(available_shape)} in {origin.name}, but {_describe_size(shape)} in the policy"
        )


def _describe_size(shape: Sequence[int]) -> str:
    return _format_count(shape[0], "value") if len(shape) == 1 else f"the shape {list(shape)}"


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _compare_images(
    name: str,
    shape: Sequence[int],
    available_shape: Sequence[int],
    settings: Mapping[str, Any],
    model: ModelType,
    origin: FeatureOrigin,
    is_trained: bool,
) -> Iterator[str]:
    """Compare shapes of channels, height, width. ACT can be trained with any size; so can a policy that crops."""
    if len(shape) != 3 or len(available_shape) != 3:
        return
    if shape[0] != available_shape[0]:
        recorded_channels, policy_channels = (
            _format_count(number, "channel") for number in (available_shape[0], shape[0])
        )
        yield f"{name} has {recorded_channels} in {origin.name}, but {policy_channels} in the policy"
        return
    crop: Sequence[int] = settings.get(model.crop_option or "crop_shape") or []
    is_cropped = len(crop) == 2 and crop[0] <= available_shape[1] and crop[1] <= available_shape[2]
    is_resized = scales_pictures(model, settings)
    takes_any_size = is_resized or (is_trained and (is_cropped or not model.picture_sized))
    if not takes_any_size and list(shape[1:]) != list(available_shape[1:]):
        yield (
            f"{name} is {available_shape[2]} wide and {available_shape[1]} high in {origin.name}, but the policy "
            "was trained with"
            f" {shape[2]} and {shape[1]}"
        )


def get_image_shape(feature: Mapping[str, Any]) -> list[int]:
    """Return the shape with the channels first, as a policy has it."""
    shape = _get_shape(feature)
    dimension_names = list(feature.get("names") or ())
    channels_last = len(shape) == 3 and (dimension_names[2] in CHANNELS if len(dimension_names) == 3 else shape[2] <= 4)
    return [shape[2], shape[0], shape[1]] if channels_last else shape


def _get_shape(feature: Any) -> list[int]:
    shape = feature.get("shape") if isinstance(feature, Mapping) else None
    return list(shape) if isinstance(shape, list | tuple) else []


def parse_renames(parameters: Mapping[str, Scalar]) -> dict[str, str]:
    """Return the new name of each renamed feature of the dataset."""
    pairs = (pair.partition("=") for pair in str(parameters.get("rename") or "").split(",") if pair)
    return {name.strip(): renamed.strip() for name, _, renamed in pairs}


def format_option(renames: Mapping[str, str]) -> str:
    """Return LeRobot's option."""
    return f"{RENAME_OPTION}={json.dumps(renames)}"


def list_notes(renames: Mapping[str, str], settings: Mapping[str, Any], model: TrainedModel) -> "Iterator[Note]":
    """Yield a note if renamed features are normalized, which LeRobot by itself does not do.

    :param settings: the configuration of the policy that a training starts from.
    :param model: its type.
    """
    from robotrain_runtime.contract.event import Note  # costs start-up

    inputs = settings.get("input_features") or {}
    modes = settings.get("normalization_mapping") or model.facts.normalization
    kinds = {name: str((inputs.get(name) or {}).get("type")) for name in renames.values()}
    if normalized_names := ", ".join(name for name, kind in kinds.items() if modes.get(kind, IDENTITY) != IDENTITY):
        explanation = (
            "normalized with the statistics of the features that are renamed; LeRobot alone would not normalize them"
        )
        yield Note(level="info", text=f"{normalized_names}: {explanation}")


def find_rename_problems(
    renames: Mapping[str, str], recorded_features: Sequence[str], policy_inputs: Sequence[str] | None
) -> Problems:
    """Yield one sentence for each rename that LeRobot would ignore, or that hides another feature.

    :param recorded_features: the features of the dataset.
    :param policy_inputs: those that the policy reads; None if that is unknown.
    """
    observations = [name for name in recorded_features if name.startswith(OBSERVATION)]
    for name, renamed in renames.items():
        option = f"{RENAME_FLAG} {name}={renamed}"
        if name not in observations:
            yield f"{option}: the dataset has no {name}, only {', '.join(observations) or 'no observation'}"
        elif not renamed.startswith(OBSERVATION):
            yield f"{option}: only observations are renamed, to other observations"
        elif policy_inputs is not None and renamed not in policy_inputs:
            yield f"{option}: the policy does not read {renamed}, only {', '.join(policy_inputs)}"
    counts = Counter(renames.get(name, name) for name in recorded_features)
    for renamed in dict.fromkeys(renames.values()):
        if counts[renamed] > 1:
            clashing_names = [name for name in recorded_features if renames.get(name, name) == renamed]
            yield f"{RENAME_FLAG} makes one feature of several: {' and '.join(clashing_names)} would both be {renamed}"
