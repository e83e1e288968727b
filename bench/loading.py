"""How fast pictures are loaded: by torchcodec and PyAV, and with `--frame-cache`; the same samples in random order.

    ./uvw run python bench/loading.py [--epochs 2] [--frames 160] [--workers 0,2]

The loader alone, as LeRobot's trainer makes it (batches of 8), over made datasets of one and three cameras. Rows have
the milliseconds of a sample: decoded by torchcodec beside decoded by PyAV, and with the cache beside decoded by
torchcodec, in the first epoch, which fills it, and in the next. All fits in memory. --quick: 480 x 640 in AV1 only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import rows
from environments import find_python
from robotrain_runtime.contract import child_python
from rows import Row

ROOT = Path(__file__).parents[1]
LOCK = "lerobot_versions/v0_6_1/train.txt"
SIZES = ((96, 96), (224, 224), (480, 640))
CODECS = {"AV1": "libsvtav1", "H.264": "h264"}
FIRST_CEILING, LATER_CEILING = 1.05, 0.5
LARGE = SIZES[-1]
RECORD = """
import json, sys
import numpy as np
from lerobot.configs.video import RGBEncoderConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset
root, height, width, cameras, codec, frames = json.loads(sys.argv[1])
shape = (height, width, 3)
names = [f"observation.images.camera{number}" for number in range(cameras)]
features = {name: {"dtype": "video", "shape": shape, "names": ["height", "width", "channels"]} for name in names}
features |= {name: {"dtype": "float32", "shape": (2,), "names": None} for name in ("observation.state", "action")}
encoder = RGBEncoderConfig(vcodec=codec)
made = LeRobotDataset.create("bench/made", 30, features, root=root, rgb_encoder=encoder)
draw = np.random.default_rng(0)
scene = np.full(shape, 128.0)
for size in (2, 4, 8, 16, 32, 64):  # details of all sizes, the larger the stronger, as cameras see them
    detail = draw.normal(0, 1.5 * size ** 0.75, (height // size + 1, width // size + 1, 3))
    scene += np.kron(detail, np.ones((size, size, 1)))[:height, :width]
for episode in range(2):
    for frame in range(frames // 2):
        picture = (np.roll(scene, 2 * frame, 1) + draw.normal(0, 4, shape)).clip(0, 255).astype(np.uint8)
        numbers = {name: draw.random(2).astype("float32") for name in ("observation.state", "action")}
        made.add_frame({**dict.fromkeys(names, picture), **numbers, "task": "move"})
    made.save_episode()
made.finalize()
"""
LOAD = """
import json, sys, time
from pathlib import Path
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from robotrain_workloads.lerobot.ffmpeg_libraries import load_ffmpeg
from robotrain_workloads.lerobot_train.frames import frame_cache

def join(_):
    load_ffmpeg()
    frame_cache.join()

if __name__ == "__main__":
    root, backend, cache, workers, epochs = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    load_ffmpeg()
    options = [f"--dataset.video_backend={backend}", "--tolerance_s=0.0001"]
    settings = {"cache": cache, "mode": "on", "limit": None, "cache_limit": None} if cache else {}
    with frame_cache.start(Path(root), options, settings):
        data = LeRobotDataset("bench/made", root=root, video_backend=backend, return_uint8=True)
        many = {"multiprocessing_context": "spawn", "persistent_workers": True, "worker_init_fn": join}
        more = many if workers else {}
        sampler = torch.utils.data.RandomSampler(data, generator=torch.Generator().manual_seed(0))
        loader = torch.utils.data.DataLoader(data, batch_size=8, num_workers=workers, sampler=sampler, **more)
        seconds = []
        for epoch in range(epochs):
            if workers:  # those that start are not counted
                iterator = iter(loader)
                next(iterator)
                begin, count = time.monotonic(), sum(1 for _ in iterator)
            else:
                begin, count = time.monotonic(), sum(1 for _ in loader)
            seconds.append((time.monotonic() - begin) / (8 * count))
        print(json.dumps(seconds))
"""


def make_environ() -> dict[str, str]:
    """Return the variables of a program that imports robotrain beside LeRobot."""
    environ = child_python.make_import_environ([ROOT / "workloads", ROOT / "runtime"], os.environ)
    return {**environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def run_program(python: Path, folder: Path, program: str, *values: object) -> str:
    """Run a program in LeRobot's environment, and return its last line."""
    script = folder / "program.py"
    script.write_text(program)
    command = [str(python), str(script), json.dumps(values)]
    done = subprocess.run(command, env=make_environ(), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
    return done.stdout.splitlines()[-1] if done.stdout else ""


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield rows: milliseconds of a sample."""
    python = find_python(LOCK)
    sizes, codecs, epochs = ((LARGE,), ["AV1"], 2) if options.quick else (SIZES, [*CODECS], options.epochs)
    for height, width in sizes:
        for codec in codecs:
            for cameras in (1, 3):
                with tempfile.TemporaryDirectory() as folder:
                    place = Path(folder)
                    root = str(place / "data")
                    values = (root, height, width, cameras, CODECS[codec], options.frames)
                    run_program(python, place, RECORD, *values)
                    for workers in map(int, options.workers.split(",")):
                        name = f"{height} x {width}, {codec}, {cameras} camera{'s' * (cameras > 1)}, {workers} workers"
                        yield from _compare(python, place, root, workers, epochs, name, is_large=height == LARGE[0])


def _compare(
    python: Path, place: Path, root: str, workers: int, epochs: int, name: str, *, is_large: bool
) -> Iterator[Row]:
    """Yield the rows of one loader."""
    cache = str(place / f"cache-{workers}")
    runs = (("pyav", ""), ("torchcodec", ""), ("torchcodec", cache))
    pyav, decoded, kept = (json.loads(run_program(python, place, LOAD, root, *run, workers, epochs)) for run in runs)
    for title, seconds, floor_name, floor, ceiling in (
        ("decoded", min(decoded), "by PyAV", min(pyav), None),
        ("first epoch with the cache", kept[0], "decoded", decoded[0], FIRST_CEILING),
        ("next epoch with the cache", min(kept[1:]), "decoded", min(decoded), LATER_CEILING),
    ):
        yield Row(
            name=f"{name}: {title}",
            ours=1000 * seconds,
            unit="ms",
            floor=1000 * floor,
            floor_name=floor_name,
            ceiling=ceiling if is_large else None,
        )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--frames", type=int, default=160, help="of a dataset")
    parser.add_argument("--workers", default="0,2", help="processes that load data, one after the other")


def main() -> int:
    """Measure, print, and return the exit code."""
    return rows.run(measure, __doc__, add_options)


if __name__ == "__main__":
    sys.exit(main())
