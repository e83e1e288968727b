"""Training from ROS 2 bags: reading, batches, steps and memory, against LeRobot on the converted dataset.

    ./uvw run python bench/rosbag.py [--pairs 3] [--quick] [--json]

The bags are those of examples/pusht-bags, with their camera. First batch: from the start of Python with an empty cache,
against `robotrain bags convert` and LeRobot's loader; of the clock, and of processors. Loader: batches of 64 as float
tensors, one thread, against LeRobot's loader without worker processes, on the dataset with images and on that with
video, which LeRobot makes by default. Step: forward, backward and optimizer of the same weights and batches, in turns
in one process; medians. Memory: the most anonymous memory while 50 bags are decoded and read, against 10 of them.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import rows
from environments import find_python
from rows import Row

ROOT = Path(__file__).parents[1]
BAGS = ROOT / "examples/pusht-bags/bags"
CHUNK, BATCH, FEW = 16, 64, 10
TOPICS = {
    "image_topics": "/camera/top/compressed=top",
    "state_topic": "/joint_states",
    "environment_state_topic": "/keypoints",
    "action_topic": "/action",
    "fps": 10.0,
}
LOAD = """
import json, os, sys, time
from pathlib import Path
import numpy as np
from robotrain_workloads.rosbag_act_train import training_data
from robotrain_workloads.rosbag_act_train.trainer import make_tensors
from robotrain_workloads.rosbag_act_train.parameters import RosbagActParameters
what, bags, cache, topics, chunk, batch, count = sys.argv[1:]
chunk, batch, count = int(chunk), int(batch), int(count)
most = 0
def note_memory(line=""):
    global most
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    most = max(most, int(status["RssAnon"].split()[0]))
settings = training_data.make_settings(vars(RosbagActParameters(**json.loads(topics))))
loaded = training_data.load_bags([Path(bags)], settings, Path(cache), chunk=chunk, salvage=False, report=note_memory)
maker = training_data.BatchMaker(loaded.episodes, chunk)
sampler = training_data.Sampler(maker.steps, batch, 0)
def make_sample(number):
    return make_tensors(maker.make_batch(sampler.choose(number)), "cpu")
make_sample(0)
if what == "first":
    sys.exit()
began = time.process_time()
for number in range(1, count + 1):
    make_sample(number)
seconds = time.process_time() - began
note_memory()
print(json.dumps({"seconds": seconds / count / batch, "memory": most / 1024}))
"""
THEIRS = """
import json, sys, time
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
what, dataset, chunk, batch, count = sys.argv[1:]
chunk, batch, count = int(chunk), int(batch), int(count)
ahead = {"action": [step / 10 for step in range(chunk)]}
data = LeRobotDataset("local/bags", root=dataset, delta_timestamps=ahead, video_backend="pyav")
order = torch.Generator().manual_seed(0)
batches = iter(torch.utils.data.DataLoader(data, batch_size=batch, shuffle=True, generator=order, num_workers=0))
next(batches)
if what == "first":
    sys.exit()
began = time.process_time()
for _ in range(count):
    next(batches)
print(json.dumps({"seconds": (time.process_time() - began) / count / batch}))
"""
STEP = """
import json, statistics, sys, time
sys.path.insert(0, sys.argv[1])
import act_parity
import torch
from robotrain_workloads.rosbag_act_train.model_setup import make_optimizer, take_step
name, sizes, batch, turns = sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
torch.set_num_threads(1)
case = {**act_parity.CASES[name], "options": sizes}
act_parity.SIZES = {"chunk_size": sizes["chunk_size"]}
torch.manual_seed(0)
theirs = act_parity.make_lerobot(case)
ours = act_parity.make_ours(theirs)
theirs.train(), ours.train()
their_optimizer = theirs.config.get_optimizer_preset().build(theirs.get_optim_params())
our_optimizer = make_optimizer(ours, lr=1e-5, lr_backbone=1e-5, weight_decay=1e-4)
data = [act_parity.make_batch(case, batch, torch.Generator().manual_seed(number)) for number in range(4)]
def step_ours(one):
    loss = ours.compute_loss(one)
    take_step(ours, our_optimizer, loss.total)
    return float(loss.total.detach())
def step_theirs(one):
    loss, _ = theirs.forward(one)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 10.0).item()
    their_optimizer.step()
    their_optimizer.zero_grad()
    return loss.item()
times = {"ours": [], "theirs": []}
for turn in range(turns + 3):
    for who, step in (("ours", step_ours), ("theirs", step_theirs))[:: 1 if turn % 2 else -1]:
        one = dict(data[turn % 4])
        began = time.process_time()
        step(one)
        if turn > 2:
            times[who].append(time.process_time() - began)
print(json.dumps({who: statistics.median(seconds) for who, seconds in times.items()}))
"""
STEPS = {
    "state": (
        dict(chunk_size=16, n_action_steps=16, use_vae=False, dim_model=128, n_heads=4, dim_feedforward=256)
        | dict(n_encoder_layers=2, dropout=0.0),
        BATCH,
        1,
    ),
    "cameras": (dict(chunk_size=16, n_action_steps=16, dim_model=128, n_heads=4, dim_feedforward=256), 8, 5),
}
"""By kind: the network of examples/pusht-bags, and one with two cameras and the variational objective; the batch; and
which part of the turns it takes."""


class Spent(NamedTuple):
    """Seconds of the clock and of processors."""

    wall: float
    cpu: float

    def __add__(self, other: "Spent") -> "Spent":  # type: ignore[override]
        return Spent(self.wall + other.wall, self.cpu + other.cpu)


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__, lambda parser: parser.add_argument("--pairs", type=int, default=3))


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows; of pairs that took turns the pair of the median ratio."""
    pairs, batches, turns = (1, 5, 10) if options.quick else (options.pairs, 40, 100)
    ours, theirs = (str(find_python(lock)) for lock in OURS_AND_THEIRS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        firsts = []
        for pair in range(pairs):
            work = folder / str(pair)
            work.mkdir()
            us = run([ours, "-c", LOAD, "first", *load_arguments(BAGS, work / "cache", 0)])
            converted = convert(work / "video", work / "robotrain-cache")
            them = converted + run([theirs, "-c", THEIRS, "first", str(work / "video"), *map(str, (CHUNK, BATCH, 0))])
            firsts.append((us, them))
            rows.log(f"first batch: {us}   convert, then LeRobot: {them}")
        for field, what in (("wall", "bags to first batch"), ("cpu", "its processor time")):
            times = [(getattr(us, field), getattr(them, field)) for us, them in firsts]
            yield make_row(what, times, "s", "convert, then LeRobot", 1 / 3)
        convert(folder / "images", folder / "robotrain-cache", "--images")
        loaded: dict[str, list[float]] = {"ours": [], "images": [], "video": []}
        for _ in range(pairs):
            arguments = load_arguments(BAGS, folder / "0/cache", batches)
            loaded["ours"].append(run_json([ours, "-c", LOAD, "load", *arguments])["seconds"] * 1e6)
            for kind, dataset in (("images", folder / "images"), ("video", folder / "0/video")):
                count = batches if kind == "images" else max(2, batches // 10)
                command = [theirs, "-c", THEIRS, "load", str(dataset), *map(str, (CHUNK, BATCH, count))]
                loaded[kind].append(run_json(command)["seconds"] * 1e6)
        for kind in ("images", "video"):
            times = list(zip(loaded["ours"], loaded[kind], strict=True))
            yield make_row(f"loading a sample, {kind}", times, "µs", "LeRobot's loader", 1 / 2)
        for kind, (sizes, batch, part) in STEPS.items():
            arguments = [kind, json.dumps(sizes), str(batch), str(turns // part)]
            step = run_json([theirs, "-c", STEP, str(ROOT / "tests/workloads"), *arguments])
            us, them = 1000 * step["ours"], 1000 * step["theirs"]
            name = f"ACT step, {kind}"
            yield Row(name=name, ours=us, unit="ms", floor=them, floor_name="LeRobot's ACT", ceiling=1.0)
        few = folder / "few"
        for bag in sorted(BAGS.iterdir())[:FEW]:
            shutil.copytree(bag, few / bag.name)
        used = []
        for bags in (BAGS, few):
            arguments = load_arguments(bags, folder / f"memory-{bags.name}", batches)
            used.append(run_json([ours, "-c", LOAD, "load", *arguments])["memory"])
        yield Row(name="memory, 50 bags", ours=used[0], unit="MiB", floor=used[1], floor_name="10 bags", ceiling=1.05)


OURS_AND_THEIRS = ("rosbag_act_train/locks/rosbag.txt", "lerobot_versions/v0_6_1/train.txt")


def load_arguments(bags: Path, cache: Path, batches: int) -> list[str]:
    """Return the arguments of LOAD after what it does."""
    return [str(bags), str(cache), json.dumps(TOPICS), *map(str, (CHUNK, BATCH, batches))]


def convert(to: Path, cache: Path, *options: str) -> Spent:
    """Convert the bags, with a cache of pictures that is empty at first, and environments that are there."""
    cache.mkdir(exist_ok=True)
    shared = Path(os.environ.get("ROBOTRAIN_CACHE") or Path.home() / ".cache/robotrain") / "environments"
    if not (cache / "environments").exists():
        (cache / "environments").symlink_to(shared)
    command = [
        str(Path(sys.executable).with_name("robotrain")),
        "bags",
        "convert",
        str(BAGS),
        "--to",
        str(to),
        *options,
    ]
    return run(command, ROBOTRAIN_CACHE=str(cache))


def run(command: Sequence[str], **more: str) -> Spent:
    """Run a program to its end; what it prints is only shown when it fails."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, env=make_environ(**more), capture_output=True, text=True)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return Spent(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def run_json(command: Sequence[str]) -> dict[str, float]:
    """Run a program; return the JSON of its last line."""
    done = subprocess.run(command, env=make_environ(), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def make_environ(**more: str) -> dict[str, str]:
    """What all run with. Nobody compiles every module at each start, so compiled ones are written."""
    paths = os.pathsep.join(str(ROOT / member) for member in ("workloads", "core", "runtime"))
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": paths, **more}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return environ


def make_row(name: str, pairs: list[tuple[float, float]], unit: str, floor: str, ceiling: float) -> Row:
    """Return the row of the pair with the median ratio."""
    median = statistics.median_low(us / them for us, them in pairs)
    us, them = next(pair for pair in pairs if pair[0] / pair[1] == median)
    return Row(name=name, ours=us, unit=unit, floor=them, floor_name=floor, ceiling=ceiling)


if __name__ == "__main__":
    sys.exit(main())
