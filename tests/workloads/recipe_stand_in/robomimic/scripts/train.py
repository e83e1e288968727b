"""Stands for robomimic's trainer."""

import json
import os
import time
from pathlib import Path


def train(config, device, resume=False):
    assert [Path(dataset["path"]).suffix for dataset in config.train.data] == [".hdf5"]
    base = Path(config.train.output_dir, config.experiment.name)
    assert base.is_absolute()
    if base.exists() and not resume:
        input("overwrite? (y/n)")
    stamp = sorted(folder.name for folder in base.iterdir())[-1] if resume else time.strftime("%Y%m%d%H%M%S")
    folder = base / stamp
    first = json.loads((folder / "last.pth").read_text())["epoch"] if resume else 0
    print(f"continuing from epoch {first}" if first else "starting", flush=True)
    for name in ("models", "logs", "videos"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for epoch in range(first + 1, config.train.num_epochs + 1):
        state = json.dumps({"epoch": epoch})
        if epoch % config.experiment.save.every_n_epochs == 0:
            (folder / f"models/model_epoch_{epoch}.pth").write_text(state)
        (folder / "last.pth").write_text(state)
        time.sleep(float(os.environ.get("STAND_IN_PAUSE", "0")))
