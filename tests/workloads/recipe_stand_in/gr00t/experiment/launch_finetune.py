"""Stands for the trainer of GR00T N1.7."""

import importlib
import os
import sys
from pathlib import Path

from options import read_options
from trainer import train

from gr00t.configs.data.embodiment_configs import MODALITY_CONFIGS

options = read_options("launch_finetune", sys.argv[1:])
path = Path(options["modality_config_path"])
sys.path.append(str(path.parent))
importlib.import_module(path.stem)
assert options["embodiment_tag"].lower() in MODALITY_CONFIGS
assert Path(options["dataset_path"], "meta/info.json").is_file()
assert Path(options["base_model_path"], "config.json").is_file()
out, pause = Path(options["output_dir"]), float(os.environ.get("STAND_IN_PAUSE", "0"))
train(
    out, options["max_steps"], options["save_steps"], any(out.glob("checkpoint-*")), options["save_total_limit"], pause
)
