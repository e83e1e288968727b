"""The parts of a step's samples, computed one after another or by several processes, and their random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from robotrain_workloads.rosbag_act_train.act.model import Loss

Arrays = Mapping[str, np.ndarray[Any, Any]]


class BatchPart(NamedTuple):
    """A part of a step's samples that is computed at once."""

    batch: Arrays
    action_share: float
    """Its share of the step's actions that are not padding."""
    sample_share: float
    """Its share of the step's samples."""


def share_loss(loss: Loss, part: BatchPart, kl_weight: float) -> Loss:
    """Return what a part adds to the loss of its step: the parts' sum is the loss of all samples at once."""
    l1 = loss.l1 * part.action_share
    if loss.kl is None:
        return Loss(l1, l1, None)
    kl = loss.kl * part.sample_share
    return Loss(l1 + kl_weight * kl, l1, kl)


def make_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of one process's random numbers in one step, so that a resumed training draws the same."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0])


def make_noise(seed: int, step: int, shape: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Return the latent's noise for all samples of a step, whichever process and part they are in."""
    return np.random.default_rng((seed, step)).standard_normal(shape, np.float32)


def make_tensors(batch: Mapping[str, np.ndarray[Any, Any]], device: str) -> dict[str, Tensor]:
    """Return a batch as tensors; pictures become (batch, 3, height, width) in 0 to 1."""
    tensors = {}
    for name, array in batch.items():
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(device)
        tensors[name] = tensor.permute(0, 3, 1, 2).float() / 255 if array.dtype == np.uint8 else tensor
    return tensors
