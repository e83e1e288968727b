"""Weights that the cameras' network starts with: torchvision's, by name or from a file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robotrain_workloads.rosbag_act_train.act.config import PolicyError


def download_weights(name: str) -> Mapping[str, Tensor]:
    """Return the weights of torchvision's name, such as `ResNet18_Weights.IMAGENET1K_V1`. Raise PolicyError."""
    import torchvision

    family, _, version = name.partition(".")
    try:
        weights: Any = getattr(getattr(torchvision.models, family), version)
    except AttributeError:
        raise PolicyError(f"torchvision {torchvision.__version__} has no weights {name}") from None
    try:
        found: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise PolicyError(f"{name} cannot be downloaded from {weights.url}: {error}") from error
    return found


def read_weights(file: Path) -> Mapping[str, Tensor]:
    """Return the weights of a file of torchvision (`.pth`) or safetensors. Raise PolicyError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, SafetensorError) as error:
        raise PolicyError(f"{file} cannot be read as weights: {error}") from error
    if not isinstance(found, Mapping):
        raise PolicyError(f"{file} holds no weights by name")
    return found


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
