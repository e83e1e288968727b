"""The configuration."""

from dataclasses import dataclass, field

from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.types import NormalizationMode
from lerobot.optim import AdamWConfig


@PreTrainedConfig.register_subclass("tiny")
@dataclass
class TinyConfig(PreTrainedConfig):
    hidden: int = 16
    chunk_size: int = 4
    optimizer_lr: float = 1e-3
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: {"STATE": NormalizationMode.MEAN_STD, "ACTION": NormalizationMode.MEAN_STD}
    )
    observation_delta_indices = property(lambda self: None)
    action_delta_indices = property(lambda self: list(range(self.chunk_size)))
    reward_delta_indices = property(lambda self: None)

    def get_optimizer_preset(self):
        return AdamWConfig(lr=self.optimizer_lr)

    def get_scheduler_preset(self):
        return None

    def validate_features(self):
        pass
