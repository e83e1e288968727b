"""Setup of a model before training: configuration, statistics, the cameras' weights and AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from robotrain_workloads.rosbag_act_train.act.config import ActConfig, PolicyError
from robotrain_workloads.rosbag_act_train.act.model import Act
from robotrain_workloads.rosbag_act_train.act.policy_files import Statistics
from robotrain_workloads.rosbag_act_train.training_data import LoadedEpisode, measure_limits, measure_statistics

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pictures, in place of the data's own, as LeRobot's trainer does."""
MAX_NORM = 10.0
"""Gradients are clipped to this norm, as LeRobot's preset for ACT does."""
OPTIONS = (
    *("chunk_size", "dim_model", "n_heads", "dim_feedforward", "n_encoder_layers", "n_decoder_layers"),
    *("n_vae_encoder_layers", "use_vae", "latent_dim", "kl_weight", "dropout"),
    *("vision_backbone", "temporal_ensemble_coeff"),
)


def make_config(values: Mapping[str, Any], episode: LoadedEpisode) -> ActConfig:
    """Return the policy's configuration for what an episode holds."""
    sizes = {name: int(array.shape[1]) for name, array in episode.values.items()}
    cameras = {name: (3, *camera.pictures.shape[1:3]) for name, camera in episode.cameras.items()}
    ensembles = values["temporal_ensemble_coeff"] is not None
    return ActConfig(
        cameras=cameras,
        state=sizes.get("observation.state", 0),
        environment=sizes.get("observation.environment_state", 0),
        action=sizes["action"],
        n_action_steps=values["n_action_steps"] or (1 if ensembles else values["chunk_size"]),
        optimizer_lr=values["learning_rate"],
        optimizer_lr_backbone=values["lr_backbone"],
        optimizer_weight_decay=values["weight_decay"],
        **{name: values[name] for name in OPTIONS},
    )


def fit_config(config: ActConfig, policy: ActConfig, name: str) -> ActConfig:
    """Return the configuration of a training that starts from a policy; pictures may have another size.

    Raises:
        PolicyError: the data has other cameras, or values of another size.
    """
    for feature, size, own in (
        ("observation.state", config.state, policy.state),
        ("observation.environment_state", config.environment, policy.environment),
        ("action", config.action, policy.action),
    ):
        if size != own:
            raise PolicyError(f"{feature} has {size} values in the bags, but {own} in the policy {name}")
    if {*config.cameras} != {*policy.cameras}:
        seen, read = (", ".join(sorted(side.cameras)) or "none" for side in (config, policy))
        raise PolicyError(f"the policy {name} reads the cameras {read}, and the bags have {seen}")
    return replace(
        config,
        cameras={camera: config.cameras[camera] for camera in policy.cameras},
        pre_norm=policy.pre_norm,
        feedforward_activation=policy.feedforward_activation,
        replace_final_stride_with_dilation=policy.replace_final_stride_with_dilation,
    )


def make_statistics(episodes: list[LoadedEpisode]) -> Statistics:
    """Return the statistics that a policy is normalized with: of the training episodes, and ImageNet's of pictures."""
    measured = measure_statistics(episodes)
    mean = {name: torch.from_numpy(array) for name, (array, _) in measured.items()}
    std = {name: torch.from_numpy(array) for name, (_, array) in measured.items()}
    for name in episodes[0].cameras:
        mean[name] = torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1)
        std[name] = torch.tensor(IMAGENET_STD).reshape(3, 1, 1)
    return Statistics(mean, std, {name: torch.from_numpy(array) for name, array in measure_limits(episodes).items()})


def load_backbone(backbone: nn.Module, weights: Mapping[str, Tensor], origin: str) -> None:
    """Put weights into the cameras' network; what it does not have, such as the classifier, is left out.

    Raises:
        PolicyError: weights are missing or of another size.
    """
    wanted = backbone.state_dict()
    wrong = [name for name, own in wanted.items() if getattr(weights.get(name), "shape", None) != own.shape]
    if wrong:
        more = f" and {len(wrong) - 1} more" if wrong[1:] else ""
        raise PolicyError(f"{origin} does not fit the cameras' network: {wrong[0]}{more} is missing or of another size")
    backbone.load_state_dict({name: weights[name] for name in wanted})


def make_optimizer(model: Act, *, lr: float, lr_backbone: float, weight_decay: float) -> torch.optim.AdamW:
    """Return the optimizer of a model; `lr_backbone` is that of the cameras' network."""
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for name, weight in named if not name.startswith("backbone.")], "lr": lr},
        {"params": [weight for name, weight in named if name.startswith("backbone.")], "lr": lr_backbone},
    ]
    return torch.optim.AdamW(groups, lr=lr, weight_decay=weight_decay)


def take_step(model: Act, optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """Change the weights by one step and return the norm of the gradients before clipping."""
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
    optimizer.step()
    optimizer.zero_grad()
    return float(norm)
