"""What openpi trains, and what it reads of the dataset."""

import os
from pathlib import Path

DATASET = Path(os.environ["ROBOTRAIN_DATASET"])
os.environ["HF_LEROBOT_HOME"] = str(DATASET.parent)  # LeRobot looks for the dataset there

from openpi.models import pi0_config
from openpi.training import weight_loaders
from openpi.training.config import DataConfig, LeRobotLiberoDataConfig, TrainConfig

CONFIG = TrainConfig(
    name="my_robot",
    model=pi0_config.Pi0Config(pi05=True, action_horizon=10, discrete_state_input=False),
    # Its keys are image, wrist_image, state and actions; for others, copy this class from openpi and change its keys.
    data=LeRobotLiberoDataConfig(repo_id=DATASET.name, base_config=DataConfig(prompt_from_task=True)),
    weight_loader=weight_loaders.CheckpointWeightLoader(f"{os.environ['ROBOTRAIN_POLICY']}/params"),
)
