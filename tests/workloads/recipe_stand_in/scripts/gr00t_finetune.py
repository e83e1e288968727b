"""Stands for the trainer of GR00T N1.5."""

import os
import sys
from pathlib import Path

from gr00t.experiment.data_config import DATA_CONFIG_MAP
from options import read_options
from trainer import train

if __name__ == "__main__":
    given = read_options("gr00t_finetune", sys.argv[1:])
    assert DATA_CONFIG_MAP[given["data_config"]].video_keys
    assert Path(given["dataset_path"], "meta/info.json").is_file()
    assert Path(given["base_model_path"], "config.json").is_file()
    out = Path(given["output_dir"])
    (out / "runs").mkdir(exist_ok=True)
    pause = float(os.environ.get("STAND_IN_PAUSE", "0"))
    train(out, given["max_steps"], given["save_steps"], given.get("resume", False), pause=pause)
