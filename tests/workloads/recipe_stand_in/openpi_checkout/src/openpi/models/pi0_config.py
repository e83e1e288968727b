"""Stands for openpi's config of models."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pi0Config:
    pi05: bool = False
    action_horizon: int = 50
    discrete_state_input: bool = True
