"""Stands for Isaac-GR00T's types of modalities."""

from dataclasses import dataclass
from enum import Enum
from typing import Any


class ActionRepresentation(Enum):
    RELATIVE = "relative"
    ABSOLUTE = "absolute"


class ActionType(Enum):
    EEF = "eef"
    NON_EEF = "non_eef"


class ActionFormat(Enum):
    DEFAULT = "default"


@dataclass
class ActionConfig:
    rep: ActionRepresentation
    type: ActionType
    format: ActionFormat


@dataclass
class ModalityConfig:
    delta_indices: list[int]
    modality_keys: list[str]
    action_configs: Any = None
