"""What each policy type and reward model of LeRobot did here: five steps of a tiny network on a CPU, without internet.

The slow tests submit each trial through robotrain; `docs/policies.md` is written from the same table. The repositories
that a trial reads are made by `tiny_backbones.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Result = Literal["trains", "constructed", "not possible"]
Stage = Literal["train", "fine-tune", "resume"]


@dataclass(frozen=True)
class PolicyTrial:
    """One type of policy or reward model with the smallest network that its own options allow."""

    type: str

    dataset: str
    """`pusht-camera` and `pusht-mini` are examples; the others are recorded by `policy_datasets.py`."""

    result: Result
    """`trains`: five steps ran; `constructed`: the network was built, with `reason` for what did not follow."""

    reason: str = ""
    """Why it only is constructed or is not possible, or what was reduced: a sentence for users, shown in the docs."""

    options: tuple[str, ...] = ()
    """What follows `--` at a new training; a fine-tuning and a resumption read the network from the checkpoint."""

    every_time: tuple[str, ...] = ()
    """What follows `--` at a new training, a fine-tuning and a resumption."""

    backbones: tuple[str, ...] = ()
    """The repositories (OWNER/NAME) that the job needs beside its data, in the order in which LeRobot reads them."""

    trusted: tuple[str, ...] = ()
    """Those of them whose Python code runs."""

    stages: tuple[Stage, ...] = ("train", "fine-tune", "resume")
    """What was tried and worked."""

    reward_model: bool = False
    """The type is one of `--reward-model`, not of `--policy-type`."""

    steps: int = 5

    batch_size: int = 2


POLICIES: tuple[PolicyTrial, ...] = (
    PolicyTrial(
        "act",
        "pusht-mini",
        "trains",
        options=(
            "--policy.dim_model=32",
            "--policy.n_heads=2",
            "--policy.dim_feedforward=32",
            "--policy.chunk_size=4",
            "--policy.n_action_steps=4",
        ),
    ),
)
"""Policies that learn from the data alone, and those of the π0, SmolVLA, X-VLA and CLIP families."""

LARGE_POLICIES: tuple[PolicyTrial, ...] = ()
"""Policies on video models, Qwen, InternVL and GR00T."""

REWARD_MODELS: tuple[PolicyTrial, ...] = ()

TRIALS = (*POLICIES, *LARGE_POLICIES, *REWARD_MODELS)
