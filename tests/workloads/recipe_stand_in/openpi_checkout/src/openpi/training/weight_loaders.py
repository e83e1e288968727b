"""Stands for openpi's loaders of weights."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckpointWeightLoader:
    params_path: str
