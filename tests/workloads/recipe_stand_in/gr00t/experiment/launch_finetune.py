"""Stands for the trainer of GR00T N1.7."""

import importlib
import os
import sys
from pathlib import Path

from options import read_options
from trainer import train

from gr00t.configs.data.embodiment_configs import MODALITY_CONFIGS

given = read_options("launch_finetune", sys.argv[1:])
path = Path(given["modality_config_path"])
sys.path.append(str(path.parent))
importlib.import_module(path.stem)
assert given["embodiment_tag"].lower() in MODALITY_CONFIGS
assert Path(given["dataset_path"], "meta/info.json").is_file()
assert Path(given["base_model_path"], "config.json").is_file()
out, pause = Path(given["output_dir"]), float(os.environ.get("STAND_IN_PAUSE", "0"))
train(out, given["max_steps"], given["save_steps"], any(out.glob("checkpoint-*")), given["save_total_limit"], pause)
