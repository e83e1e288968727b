"""The configuration of an ACT policy: what it takes and gives, and its sizes. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

TYPE = "act"
STATE, ENVIRONMENT, ACTION = "observation.state", "observation.environment_state", "action"
NORMALIZATION = {"VISUAL": "MEAN_STD", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}
"""As LeRobot 0.6.1: the environment's state is not in it, and is not normalized."""


class PolicyError(ValueError):
    """A policy that cannot be used; the text says why."""


@dataclass(frozen=True, kw_only=True)
class ActConfig:
    """An ACT policy. Names and defaults are LeRobot's, where `docs/rosbag.md` does not say otherwise."""

    cameras: Mapping[str, tuple[int, int, int]]
    """(channels, height, width) by feature, in the order of the image tokens."""
    action: int
    """Values of an action."""
    state: int = 0
    """Values of the robot's state; 0: none."""
    environment: int = 0
    """Values of the environment's state; 0: none."""
    chunk_size: int = 100
    n_action_steps: int = 100
    vision_backbone: str = "resnet18"
    replace_final_stride_with_dilation: bool = False
    pre_norm: bool = False
    dim_model: int = 512
    n_heads: int = 8
    dim_feedforward: int = 3200
    feedforward_activation: str = "relu"
    n_encoder_layers: int = 4
    n_decoder_layers: int = 1
    use_vae: bool = True
    latent_dim: int = 32
    n_vae_encoder_layers: int = 4
    temporal_ensemble_coeff: float | None = None
    dropout: float = 0.1
    kl_weight: float = 10.0
    optimizer_lr: float = 1e-5
    optimizer_lr_backbone: float = 1e-5
    optimizer_weight_decay: float = 1e-4

    def dump(self, device: str) -> dict[str, Any]:
        """Return the content of LeRobot's config.json."""
        inputs: dict[str, Any] = {}
        if self.state:
            inputs[STATE] = {"type": "STATE", "shape": [self.state]}
        if self.environment:
            inputs[ENVIRONMENT] = {"type": "ENV", "shape": [self.environment]}
        for name, shape in self.cameras.items():
            inputs[name] = {"type": "VISUAL", "shape": list(shape)}
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        sizes = {name: value for name, value in own.items() if name not in _FEATURES}
        return {
            "type": TYPE,
            "n_obs_steps": 1,
            "input_features": inputs,
            "output_features": {ACTION: {"type": "ACTION", "shape": [self.action]}},
            "device": device,
            "use_amp": False,
            "push_to_hub": False,
            "normalization_mapping": dict(NORMALIZATION),
            "pretrained_backbone_weights": None,
            **sizes,
        }

    @staticmethod
    def load(content: Mapping[str, Any]) -> ActConfig:
        """Return the configuration of a LeRobot policy.

        Raises:
            PolicyError: it is no ACT policy, or has features that this model does not take.
        """
        if content.get("type") != TYPE:
            raise PolicyError(f"the policy is of type {content.get('type')}, not {TYPE}")
        if content.get("n_obs_steps", 1) != 1:
            raise PolicyError("the policy takes several observation steps")
        sizes: dict[str, Any] = {"cameras": {}, "state": 0, "environment": 0}
        for name, feature in content.get("input_features", {}).items():
            kind, shape = feature["type"], tuple(feature["shape"])
            if kind == "VISUAL":
                sizes["cameras"][name] = shape
            elif kind in ("STATE", "ENV"):
                sizes["state" if kind == "STATE" else "environment"] = shape[0]
            else:
                raise PolicyError(f"the policy takes {name} of type {kind}")
        if content.get("normalization_mapping", NORMALIZATION) != NORMALIZATION:
            raise PolicyError("the policy is normalized in another way than mean and standard deviation")
        own = {field.name for field in fields(ActConfig)} - set(_FEATURES)
        sizes["action"] = content["output_features"][ACTION]["shape"][0]
        return ActConfig(**sizes, **{name: content[name] for name in own if name in content})


_FEATURES = ("cameras", "action", "state", "environment")
