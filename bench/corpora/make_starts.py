"""Program for an environment with LeRobot: write the config.json of a policy of each type, to start trainings from.

    HF_HUB_OFFLINE=1 ENVIRONMENT/bin/python make_starts.py <types.json

Reads a list of `[folder, options]`: options of a new policy on a dataset, which is named in them as `lerobot-train` has
it. The repositories that configurations read have to be in the cache of the Hub (tests/workloads/tiny_backbones.py).
"""

import json
import logging
import sys
from pathlib import Path

import lerobot.policies
import lerobot.rewards  # noqa: F401
from lerobot.configs import parser
from lerobot.configs.train import TrainPipelineConfig
from lerobot.configs.types import FeatureType
from lerobot.datasets import LeRobotDatasetMetadata
from lerobot.utils.feature_utils import dataset_to_policy_features


def save(config: TrainPipelineConfig, folder: Path) -> None:
    """Complete a configuration with the features of its dataset, as a training does, and write it."""
    meta = LeRobotDatasetMetadata(config.dataset.repo_id, root=config.dataset.root)
    features, chosen = dataset_to_policy_features(meta.features), config.trainable_config
    chosen.output_features = {key: one for key, one in features.items() if one.type is FeatureType.ACTION}
    chosen.input_features = {key: one for key, one in features.items() if key not in chosen.output_features}
    if callable(tell := getattr(chosen, "set_dataset_feature_metadata", None)):
        tell(meta.features)
    if hasattr(chosen, "validate_features"):
        chosen.validate_features()
    folder.parent.mkdir(parents=True, exist_ok=True)
    chosen._save_pretrained(folder)
    path = folder / "config.json"
    settings = json.loads(path.read_text())
    settings |= {"device": "cpu", "repo_id": None, "push_to_hub": False}
    path.write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    for folder, options in json.load(sys.stdin):
        sys.argv = ["lerobot-train", *options]

        def write(config: TrainPipelineConfig, folder: Path = Path(folder)) -> None:
            """Write one."""
            save(config, folder)

        write.__annotations__["config"] = TrainPipelineConfig
        try:
            parser.wrap()(write)()
        except Exception as error:
            print(folder, type(error).__name__, error, file=sys.stderr)
