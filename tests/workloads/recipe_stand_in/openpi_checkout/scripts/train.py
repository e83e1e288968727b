"""Stands for openpi's trainer: it refuses a folder of checkpoints that is there, unless it resumes."""

import os
import sys
import time
from pathlib import Path

import openpi.training.config as configs
from options import read_options

if __name__ == "__main__":
    config = configs._CONFIGS_DICT[sys.argv[1]]
    options = read_options("openpi_train", sys.argv[2:])
    assert Path(config.weight_loader.params_path, "weights").is_file()
    assert (Path(options["assets_base_dir"]) / config.name / config.data.repo_id / "norm_stats.json").is_file()
    out = Path(options["checkpoint_base_dir"], config.name, options["exp_name"])
    if out.exists() and not options.get("resume"):
        raise FileExistsError(f"Checkpoint directory {out} already exists. Use --overwrite or --resume")
    out.mkdir(parents=True, exist_ok=True)
    first = max((int(folder.name) for folder in out.iterdir() if folder.name.isdecimal()), default=0)
    print(f"continuing from step {first}" if first else "starting", flush=True)
    for step in range(first, options["num_train_steps"]):
        if (step % options["save_interval"] == 0 and step > first) or step == options["num_train_steps"] - 1:
            partial = out / f"{step}.orbax-checkpoint-tmp"
            (partial / "params").mkdir(parents=True)
            (partial / "params/weights").write_bytes(os.urandom(64))
            partial.rename(out / str(step))
        print(f"Step {step}: grad_norm=0.1000, loss={1 / (step + 1):.4f}, param_norm=1.0", flush=True)
        time.sleep(float(os.environ.get("STAND_IN_PAUSE", "0")))
