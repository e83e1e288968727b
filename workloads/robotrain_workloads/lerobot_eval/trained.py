"""What a policy's files say of its training: the episodes of its dataset, and where it began. Standard library only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_train import json_object

CONFIG = "train_config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """model: the folder of the policy that it made. part: of each task's episodes, that it held out. episodes: those it
    was given; None for all. begun: the policy that it began with, as LeRobot was told; empty for none. resumed: whether
    that is a checkpoint that it went on from.
    """

    model: Path
    part: float
    episodes: list[int] | None
    begun: str
    resumed: bool


def read(model: Path) -> Trained | None:
    """None when nobody knows. Raises OSError or ValueError with a sentence."""
    if not (model / CONFIG).is_file():
        return None
    found = json_object.read(model / CONFIG)
    told = found.get("dataset")
    if not isinstance(told, dict):
        return None
    policy = found.get("policy")
    begun = policy.get("pretrained_path") if isinstance(policy, dict) else None
    return Trained(
        model=model,
        part=_part(model, told.get("eval_split") or 0),
        episodes=_episodes(model, told.get("episodes") or []) or None,
        begun=begun if isinstance(begun, str) else "",
        resumed=found.get("resume") is True,
    )


def _part(model: Path, said: Any) -> float:
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said <= 1:
        raise ValueError(f"{model / CONFIG}: dataset.eval_split must be a number from 0 to 1")
    return float(said)


def _episodes(model: Path, said: Any) -> list[int]:
    if not isinstance(said, list) or not all(isinstance(number, int) for number in said):
        raise ValueError(f"{model / CONFIG}: dataset.episodes must be a list of whole numbers, or null")
    return said
