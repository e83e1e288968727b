"""Stands for the trainer of GR00T N1.5."""

import os
import sys
from pathlib import Path

from gr00t.experiment.data_config import DATA_CONFIG_MAP
from options import read_options
from trainer import train

if __name__ == "__main__":
    options = read_options("gr00t_finetune", sys.argv[1:])
    assert DATA_CONFIG_MAP[options["data_config"]].video_keys
    assert Path(options["dataset_path"], "meta/info.json").is_file()
    assert Path(options["base_model_path"], "config.json").is_file()
    out = Path(options["output_dir"])
    (out / "runs").mkdir(exist_ok=True)
    pause = float(os.environ.get("STAND_IN_PAUSE", "0"))
    train(out, options["max_steps"], options["save_steps"], options.get("resume", False), pause=pause)
