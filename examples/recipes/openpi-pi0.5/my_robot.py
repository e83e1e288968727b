"""What openpi trains, and what it reads of the dataset."""

from pathlib import Path

from openpi.models import pi0_config
from openpi.training import weight_loaders
from openpi.training.config import DataConfig, LeRobotLiberoDataConfig, TrainConfig


def make_config(dataset: Path, policy: Path) -> TrainConfig:
    return TrainConfig(
        name="my_robot",
        model=pi0_config.Pi0Config(pi05=True, action_horizon=10, discrete_state_input=False),
        # The keys are image, wrist_image, state and actions; for others, copy this class from openpi.
        data=LeRobotLiberoDataConfig(repo_id=dataset.name, base_config=DataConfig(prompt_from_task=True)),
        weight_loader=weight_loaders.CheckpointWeightLoader(f"{policy}/params"),
    )
