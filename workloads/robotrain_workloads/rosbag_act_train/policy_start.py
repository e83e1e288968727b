"""A policy that a training starts from: the settings it fixes, and mismatches with the job. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from robotrain_runtime.contract.finding import Finding, make_finding, suggest_leaving_out
from robotrain_runtime.contract.parameter import get_parameters

from robotrain_workloads import bag_parameters
from robotrain_workloads.rosbag_act_train import parameters
from robotrain_workloads.rosbag_act_train.act.config import ACTION, ENVIRONMENT, STATE, TYPE, ActConfig, PolicyError

IMAGES = "observation.images"
DECIDED = (
    *("chunk_size", "vision_backbone", "dim_model", "n_heads", "dim_feedforward", "n_encoder_layers"),
    *("n_decoder_layers", "n_vae_encoder_layers", "use_vae", "latent_dim"),
)
"""Parameters that the policy decides: its weights have their sizes."""
ADOPTED = ("n_action_steps", "temporal_ensemble_coeff", "kl_weight", "dropout")
"""Parameters that are the policy's where the job has their defaults."""
_DEFAULTS = {parameter.name: parameter.default for parameter in get_parameters(parameters.RosbagActParameters)}


def adopt_sizes(values: Mapping[str, Any], config: ActConfig) -> dict[str, Any]:
    """Return the parameters with what the policy decides."""
    adopted = {name: getattr(config, name) for name in ADOPTED if values[name] == _DEFAULTS[name]}
    return {**values, **{name: getattr(config, name) for name in DECIDED}, **adopted}


def find_policy_mismatches(
    values: Mapping[str, Any], settings: Mapping[str, Any], name: str
) -> Iterator[Finding | str]:
    """Yield one sentence for each reason why a training on bags cannot start from a policy.

    Args:
        values: The job's parameters.
        settings: The content of the policy's config.json.
        name: What messages call the policy.
    """
    if settings.get("type") != TYPE:
        yield f"{name} has the policy type {settings.get('type')}, and rosbag-act-train trains {TYPE}"
        return
    try:
        config = ActConfig.load(settings)
    except PolicyError as error:
        yield f"{name} cannot be trained here: {error}"
        return
    except (LookupError, TypeError, AttributeError):
        yield f"{name} has a config.json without valid features"
        return
    for parameter in DECIDED:
        setting, own = values[parameter], getattr(config, parameter)
        if setting not in (own, _DEFAULTS[parameter]):
            flag = "--" + parameter.replace("_", "-")
            yield make_finding(
                f"{flag} is {setting}, but the policy was made with {own}",
                suggest_leaving_out(flag, remark="the policy decides it"),
            )
    yield from _compare_cameras(values, config)
    yield from _compare_vectors(values, config)


def predict_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config.json of the policy that a training from scratch makes, with empty shapes where bags decide."""
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for feature, kind, topic, joints in _list_vectors(values):
        if topic or feature == ACTION:
            shape = {"type": kind, "shape": [len(joints)] if joints else []}
            (outputs if feature == ACTION else inputs)[feature] = shape
    height, _, width = (values["image_size"] or "").partition("x")
    for camera in bag_parameters.parse_cameras(values["image_topics"] or "").values():
        inputs[f"{IMAGES}.{camera}"] = {"type": "VISUAL", "shape": [3, int(height), int(width)] if height else []}
    return {"type": TYPE, "input_features": inputs, "output_features": outputs}


def _compare_cameras(values: Mapping[str, Any], config: ActConfig) -> Iterator[Finding | str]:
    names = {f"{IMAGES}.{camera}" for camera in bag_parameters.parse_cameras(values["image_topics"] or "").values()}
    listed = f"only {', '.join(sorted(names))}" if names else "no camera"
    for name in config.cameras:
        if name not in names:
            camera = name.removeprefix(f"{IMAGES}.")
            yield make_finding(
                f"the policy reads the camera {name}, but the job has {listed}", f"--image-topics TOPIC={camera}"
            )
    for name in sorted(names - {*config.cameras}):
        yield f"the job has the camera {name}, which the policy does not read: leave it out of --image-topics"


def _compare_vectors(values: Mapping[str, Any], config: ActConfig) -> Iterator[Finding | str]:
    sizes = {STATE: config.state, ENVIRONMENT: config.environment, ACTION: config.action}
    for feature, _, topic, joints in _list_vectors(values):
        size = sizes[feature]
        flag = "--state-topic" if feature == STATE else "--environment-state-topic"
        if size and not topic and feature != ACTION:
            yield make_finding(f"the policy reads {feature}, for which the job names no topic", f"{flag} TOPIC")
        elif topic and not size:
            yield make_finding(
                f"the policy does not read {feature}, which the job takes from {topic}",
                f"{flag} {bag_parameters.NO_TOPIC}",
            )
        elif joints and len(joints) != size:
            yield f"{feature} has {size} values in the policy, but the job names {len(joints)} joints"


def _list_vectors(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None, tuple[str, ...]]]:
    """Yield feature, kind, topic and joints; without a topic of actions the next state is the action."""
    state, action = (bag_parameters.read_topic(values[name]) for name in ("state_topic", "action_topic"))
    joints, action_joints = (bag_parameters.parse_names(values[name]) for name in ("joint_names", "action_joint_names"))
    yield STATE, "STATE", state, joints
    yield ENVIRONMENT, "ENV", bag_parameters.read_topic(values["environment_state_topic"]), ()
    yield ACTION, "ACTION", action or state, action_joints if action else joints
