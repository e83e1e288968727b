"""Stands for openpi's configs of trainings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class DataConfig:
    prompt_from_task: bool = False


@dataclass(frozen=True)
class LeRobotLiberoDataConfig:
    repo_id: str
    base_config: DataConfig | None = None


@dataclass(frozen=True)
class TrainConfig:
    name: str
    model: Any
    data: Any
    weight_loader: Any
    assets_base_dir: str = "./assets"

    @property
    def assets_dirs(self) -> Path:
        return (Path(self.assets_base_dir) / self.name).resolve()


_CONFIGS_DICT: dict[str, TrainConfig] = {}
