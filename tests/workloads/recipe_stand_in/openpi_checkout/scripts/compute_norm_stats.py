"""Stands for openpi's statistics of a dataset."""

import os
from pathlib import Path

import openpi.training.config as configs


def main(config_name):
    config = configs._CONFIGS_DICT[config_name]
    assert Path(os.environ["HF_LEROBOT_HOME"], config.data.repo_id, "meta/info.json").is_file()
    folder = config.assets_dirs / config.data.repo_id
    folder.mkdir(parents=True)
    (folder / "norm_stats.json").write_text("{}")
    print("computed the statistics")
