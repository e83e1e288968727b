"""Where a training starts: at nothing, at a trained policy, or at a checkpoint."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from robotrain_runtime.document import Source

from robotrain_workloads.lerobot_train import json_object, policy

Way = Literal["scratch", "policy", "weights", "checkpoint"]
WAYS: Mapping[str, Way] = {"policy": "policy", "init_policy": "weights", "resume": "checkpoint"}
"""By the role of the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """way: `policy` takes the policy as a whole and `weights` only its network; `checkpoint` the optimizer and the step
    as well. folder: the policy's, or the checkpoint's. step: that of the checkpoint. settings: the policy's own.
    """

    way: Way = "scratch"
    folder: Path = Path()
    step: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


def source(sources: Iterable[Source]) -> Source | None:
    """The one that a training starts from."""
    return next((one for one in sources if one.role in WAYS), None)


def asked(data: Mapping[Source, Path]) -> Start:
    """What the document asks for. Raises OSError or ValueError when its files do not say what they should."""
    found = source(data)
    if found is None:
        return Start()
    return at_checkpoint(data[found]) if found.role == "resume" else _at_policy(WAYS[found.role], data[found])


def at_checkpoint(folder: Path) -> Start:
    """A checkpoint with everything its next step needs. Raises OSError or ValueError with a sentence."""
    if not (folder / policy.STEP).is_file():
        raise FileNotFoundError(f"{folder} is no checkpoint that a training can go on from: it has no {policy.STEP}")
    step = json_object.read(folder / policy.STEP).get("step")
    if not isinstance(step, int):
        raise ValueError(f"{folder / policy.STEP} does not say at which step it was saved")
    return Start(way="checkpoint", folder=folder, step=step, settings=policy.settings(folder / policy.MODEL))


def _at_policy(way: Way, folder: Path) -> Start:
    model = policy.model(folder)
    return Start(way=way, folder=model, settings=policy.settings(model))
