"""Add the training config of this folder to openpi, compute its statistics, and start openpi's own trainer.

finetune.py DATASET POLICY ARGUMENTS-OF-THE-TRAINER
"""

import dataclasses
import os
import runpy
import sys
from pathlib import Path

dataset, policy = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
os.environ["HF_LEROBOT_HOME"] = str(dataset.parent)  # where LeRobot looks for datasets

import openpi
import openpi.training.config as configs
from my_robot import make_config

arguments = dict(zip(sys.argv, sys.argv[1:], strict=False))
scripts = Path(openpi.__file__).parents[2] / "scripts"
config = dataclasses.replace(make_config(dataset, policy), assets_base_dir=arguments["--assets-base-dir"])
configs._CONFIGS_DICT[config.name] = config
if not (config.assets_dirs / dataset.name / "norm_stats.json").exists():
    runpy.run_path(str(scripts / "compute_norm_stats.py"))["main"](config.name)
if Path(arguments["--checkpoint-base-dir"], config.name, arguments["--exp-name"]).is_dir():
    sys.argv.append("--resume")
sys.argv[0] = str(scripts / "train.py")
runpy.run_path(sys.argv[0], run_name="__main__")
