"""A policy in plain LeRobot, without robotrain: `python plain_policy.py FOLDER|OWNER/NAME DATASET`.

Prints one JSON object: the class of the network, and a chunk of actions for one observation with fixed noise.
"""

import json
import sys
from pathlib import Path

import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.datasets import LeRobotDatasetMetadata
from lerobot.policies.factory import make_policy, make_pre_post_processors


def main(name: str, dataset: Path) -> None:
    """Load the policy as `lerobot-train` and `lerobot-eval` do, and let it act."""
    config = PreTrainedConfig.from_pretrained(name)
    config.pretrained_path, config.device = name, "cpu"
    meta = LeRobotDatasetMetadata("plain", root=dataset)
    policy = make_policy(config, ds_meta=meta, rename_map={"observation.image": "observation.images.camera1"}).eval()
    preprocessor, _ = make_pre_post_processors(
        config, name, preprocessor_overrides={"device_processor": {"device": "cpu"}}
    )
    torch.manual_seed(0)
    observation = {"observation.state": torch.rand(1, 2), "observation.image": torch.rand(1, 3, 64, 64)}
    noise = torch.randn(1, config.chunk_size, config.max_action_dim)
    with torch.inference_mode():
        batch = preprocessor({**observation, "task": ["push the T shaped block onto the target"]})
        actions = policy.predict_action_chunk(batch, noise=noise)
    print(json.dumps({"class": type(policy).__name__, "actions": actions.flatten().tolist()}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
