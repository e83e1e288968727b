"""Start robomimic's trainer on a folder of files. A failure fails the program, which robomimic's own script hides."""

import argparse
import json
import shutil
from pathlib import Path

import robomimic.utils.torch_utils as torch_utils
from robomimic.config import config_factory
from robomimic.scripts.train import train

parser = argparse.ArgumentParser()
parser.add_argument("--config", type=Path, required=True)
parser.add_argument("--data", type=Path, required=True, help="a folder with .hdf5 files")
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--epochs", type=int, required=True)
parser.add_argument("--seed", type=int, required=True)
args = parser.parse_args()

given = json.loads(args.config.read_text())
config = config_factory(given["algo_name"])
with config.values_unlocked():
    config.update(given)
    config.experiment.name = "bc"
    config.train.data = [{"path": str(path)} for path in sorted(args.data.rglob("*.hdf5"))]
    config.train.output_dir = str(args.out.absolute())
    config.train.num_epochs, config.train.seed = args.epochs, args.seed
config.lock()

saved = sorted(args.out.glob("bc/*/models/model_epoch_*.pth"), key=lambda path: int(path.stem.rpartition("_")[2]))
if saved:  # robomimic continues from this file of the newest folder
    shutil.copyfile(saved[-1], saved[-1].parents[1] / "last.pth")
train(config, device=torch_utils.get_torch_device(try_to_use_cuda=True), resume=bool(saved))
