"""Add the training config of this folder to openpi, compute its statistics, and start openpi's own trainer."""

import dataclasses
import runpy
import sys
from pathlib import Path

import my_robot  # first: it says where datasets are
import openpi
import openpi.training.config as configs

arguments = dict(zip(sys.argv, sys.argv[1:], strict=False))
scripts = Path(openpi.__file__).parents[2] / "scripts"
config = dataclasses.replace(my_robot.CONFIG, assets_base_dir=arguments["--assets-base-dir"])
configs._CONFIGS_DICT[config.name] = config
if not (config.assets_dirs / my_robot.DATASET.name / "norm_stats.json").exists():
    runpy.run_path(str(scripts / "compute_norm_stats.py"))["main"](config.name)
if Path(arguments["--checkpoint-base-dir"], config.name, arguments["--exp-name"]).is_dir():
    sys.argv.append("--resume")
sys.argv[0] = str(scripts / "train.py")
runpy.run_path(sys.argv[0], run_name="__main__")
