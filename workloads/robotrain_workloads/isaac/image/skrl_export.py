"""A policy of skrl as files of ONNX and TorchScript: skrl has no exporter. Needs torch."""

import copy
import os
from collections.abc import Sequence
from typing import Any

import torch

OPSET = 18
CLIPPING = ("_g_clip_mean_actions", "_d_clip_actions")
"""What clips mean actions, outside of the network."""


class Actor(torch.nn.Module):  # type: ignore[misc]
    """The mean actions of an agent's policy: its observations are scaled as the agent scales them."""

    def __init__(self, agent: Any) -> None:
        super().__init__()
        is_new = hasattr(agent, "_observation_preprocessor")  # from skrl 2 on
        self._input = "observations" if is_new else "states"
        scaler = agent._observation_preprocessor if is_new else agent._state_preprocessor
        self.scaler = copy.deepcopy(scaler) if isinstance(scaler, torch.nn.Module) else scaler
        self.policy = copy.deepcopy(agent.policy)

    def forward(self, obs: Any) -> Any:
        """Return the actions."""
        return self.policy.compute({self._input: self.scaler(obs)}, role="policy")[0]


def export_policy(agent: Any, folder: str, formats: Sequence[str], size: int) -> None:
    """Write the files, which take observations of a size in batches of any number. Raise ValueError."""
    for name in CLIPPING:
        flag = getattr(agent.policy, name, False)
        if any(flag.values()) if isinstance(flag, dict) else flag:  # before skrl 2 by role
            raise ValueError("its actions are clipped to the limits of the environment, which no file has")
    actor = Actor(agent).cpu().eval()
    example = torch.zeros(2, size)
    with torch.no_grad():
        if "jit" in formats:
            torch.jit.trace(actor, example).save(os.path.join(folder, "policy.pt"))
        if "onnx" in formats:
            torch.onnx.export(
                actor,
                (example,),
                os.path.join(folder, "policy.onnx"),
                opset_version=OPSET,
                dynamo=False,
                input_names=["obs"],
                output_names=["actions"],
                dynamic_axes={"obs": {0: "batch"}, "actions": {0: "batch"}},
            )
