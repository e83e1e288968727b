"""How far a merged policy is from its adapter and base: `python merge_difference.py ADAPTER BASE MERGED COUNT`.

Runs in an environment of LeRobot. Prints one JSON object: the largest difference of an action between both over COUNT
random observations with the same noise, and the largest between the adapter and its base alone, which shows that the
adapter changes something.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from robotrain_workloads.lerobot import loaded_policy

WORDS = ("push", "the", "T", "onto", "target", "slowly", "from", "above", "block", "again")


def make_observation(config: Any, number: int) -> dict[str, Any]:
    """Return an observation as a dataset has it; the same number makes the same one."""
    random = torch.Generator().manual_seed(number)
    observation: dict[str, Any] = {}
    for name, feature in config.input_features.items():
        numbers = torch.rand((1, *feature.shape), generator=random)
        observation[name] = numbers if feature.type.name == "VISUAL" else 4 * numbers - 2
    order = torch.randperm(len(WORDS), generator=random)[: 1 + number % len(WORDS)]
    return {**observation, "task": [" ".join(WORDS[index] for index in order)]}


def act(loaded: Any, number: int) -> Any:
    """Return a chunk of actions with noise that the number decides."""
    config = loaded.policy.config
    noise = torch.randn(
        (1, config.chunk_size, config.max_action_dim), generator=torch.Generator().manual_seed(number + 1_000_000)
    )
    with torch.inference_mode():
        batch = loaded.preprocessor(make_observation(config, number))
        loaded.policy.reset()
        return loaded.policy.predict_action_chunk(batch, noise=noise).float()


def measure(adapter: Path, base: Path, merged: Path, count: int) -> dict[str, float]:
    """Return the largest differences."""
    both = loaded_policy.load_policy(adapter, "cpu", base=base)
    merged_policy = loaded_policy.load_policy(merged, "cpu")
    alone = loaded_policy.load_policy(base, "cpu")
    for loaded in (both, merged_policy, alone):
        loaded.policy.float()
    assert not any("lora" in name for name in merged_policy.policy.state_dict())
    measures = {"difference": 0.0, "effect": 0.0, "largest": 0.0}
    for number in range(count):
        expected = act(both, number)
        measures["difference"] = max(measures["difference"], float((expected - act(merged_policy, number)).abs().max()))
        measures["effect"] = max(measures["effect"], float((expected - act(alone, number)).abs().max()))
        measures["largest"] = max(measures["largest"], float(expected.abs().max()))
    return {**measures, "count": count}


if __name__ == "__main__":
    print(json.dumps(measure(*map(Path, sys.argv[1:4]), int(sys.argv[4]))))
