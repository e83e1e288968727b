"""What a training of camera pictures waits for data: with `--frame-cache`, and by plain `lerobot-train`.

    ./uvw run python bench/camera_training.py [--epochs 3] [--frames 96]

A small diffusion policy, a made dataset of three cameras, 480 x 640 in AV1, on the CPU: a step reads 48 pictures. The
seconds that LeRobot logs of a step from the second epoch on are compared, which include the normalization of pictures,
and the time of the whole training. lerobot-train has the same options: as where FFmpeg is installed, where torchcodec
decodes, and without, with PyAV.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import loading
import rows
from environments import find_python
from first_step import ROBOTRAIN, make_environ, trainer_options
from robotrain_runtime.contract import child_python
from rows import Row

BATCH, CAMERAS = 8, 3
DECODER = "--dataset.video_backend="
POLICY = (
    "--policy.pretrained_backbone_weights=null",
    "--policy.use_group_norm=true",
    "--policy.down_dims=[32,64]",
    "--policy.resize_shape=[60,80]",
)
LOGGED = re.compile(r" step:.* data_s:([\d.]+)")
TRAIN = """
from robotrain_workloads.lerobot.ffmpeg_libraries import load_ffmpeg
load_ffmpeg()
if __name__ == "__main__":
    from lerobot.scripts.lerobot_train import main
    main()
"""


class Training(NamedTuple):
    """A training: the seconds that a step waited for data, from the second epoch on, and all seconds."""

    wait: float
    wall: float


def read_waits(lines: Sequence[str]) -> float:
    """Return the seconds that a step waited for data, from the second epoch on: each logs once."""
    waits = [float(match[1]) for match in map(LOGGED.search, lines) if match]
    return sum(waits[1:]) / len(waits[1:])


def train_cached(place: Path, data: Path, epochs: int, frames: int) -> tuple[Training, list[str]]:
    """Train with robotrain and the cache; return the trainer's own options as well."""
    steps = frames // BATCH
    usual = Path(os.environ.get("ROBOTRAIN_CACHE") or Path.home() / ".cache/robotrain")
    (place / "cache").mkdir()
    (place / "cache/environments").symlink_to(usual / "environments")
    environ = make_environ(ROBOTRAIN_STATE=str(place / "state"), ROBOTRAIN_CACHE=str(place / "cache"))
    parameters = ("--training-steps", epochs * steps, "--log-freq", steps, "--save-freq", epochs * steps)
    source = ("--policy-type", "diffusion", "--dataset-path", data, "--batch-size", BATCH, "--val-split", 0)
    words = [*source, *parameters, "--device", "cpu", "--frame-cache", "on", "--wait", "--no-system-metrics"]
    submit = [ROBOTRAIN, "submit", "lerobot-train", "--platform", "local", *map(str, words), "--", *POLICY]
    began = time.monotonic()
    done = subprocess.run(submit, env=environ, capture_output=True, text=True)
    wall = time.monotonic() - began
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    (folder,) = (place / "state/local").glob("lerobot-train-*")
    return Training(read_waits((folder / "log.txt").read_text().splitlines()), wall), trainer_options(folder)


def train_plainly(place: Path, python: Path, options: Sequence[str], decoder: str) -> Training:
    """Train with the trainer alone and a decoder."""
    folders = [loading.ROOT / "workloads", loading.ROOT / "runtime"]
    environ = child_python.make_import_environ(folders, make_environ(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1"))
    script = place / "train.py"
    script.write_text(TRAIN)
    own = [option for option in options if not option.startswith(("--output_dir=", DECODER))]
    places = [f"--output_dir={place / decoder}", DECODER + decoder]
    began = time.monotonic()
    done = subprocess.run([str(python), str(script), *own, *places], env=environ, capture_output=True, text=True)
    wall = time.monotonic() - began
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return Training(read_waits((done.stdout + done.stderr).splitlines()), wall)


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield rows: seconds that a step waits for data, and seconds of the whole training."""
    python = find_python(loading.LOCK)
    epochs, frames = options.epochs, options.frames
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        data = place / "data"
        loading.run_program(python, place, loading.RECORD, str(data), 480, 640, CAMERAS, "libsvtav1", frames)
        ours, trainer = train_cached(place, data, epochs, frames)
        for decoder in ("torchcodec", "pyav"):
            plain = train_plainly(place, python, trainer, decoder)
            rows.log(f"robotrain {ours}   lerobot-train with {decoder} {plain}")
            floor_name = f"lerobot-train with {decoder}"
            wait = {"name": f"a step's wait for data, {decoder}", "ours": ours.wait, "floor": plain.wait}
            yield Row(**wait, unit="s", floor_name=floor_name)
            wall = {"name": f"{epochs} epochs, {decoder}", "ours": ours.wall, "floor": plain.wall}
            yield Row(**wall, unit="s", floor_name=floor_name)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--frames", type=int, default=96, help="of the dataset")


def main() -> int:
    """Measure, print, and return the exit code."""
    return rows.run(measure, __doc__, add_options)


if __name__ == "__main__":
    sys.exit(main())
