"""AdamW with the backbone's own learning rate, and one step of it."""

from __future__ import annotations

import torch
from torch import Tensor

from robotrain_workloads.rosbag_act_train.act.model import Act

MAX_NORM = 10.0
"""Gradients are clipped to this norm, as LeRobot's preset for ACT does."""


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
