"""Trainings of a few steps: a small network, the files of a run, and datasets that are recorded for them."""

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Metrics, Note

NO_WEIGHTS = "--policy.pretrained_backbone_weights=null"
"""They would be downloaded."""
SMALL = {
    "act": (
        NO_WEIGHTS,
        "--policy.dim_model=64",
        "--policy.n_heads=4",
        "--policy.dim_feedforward=64",
        "--policy.chunk_size=8",
        "--policy.n_action_steps=8",
    ),
    "diffusion": (
        NO_WEIGHTS,
        "--policy.use_group_norm=true",
        "--policy.down_dims=[32,64]",
        "--policy.horizon=8",
        "--policy.n_action_steps=4",
        "--policy.num_inference_steps=2",
    ),
}
STEPS = {"training_steps": 6, "log_freq": 2, "save_freq": 3, "batch_size": 4, "num_workers": 0, "device": "cpu"}
RECORD = """
import json, sys
import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
for name, (tasks, size, scale) in json.loads(sys.argv[2]).items():
    features = {
        "observation.state": {"dtype": "float32", "shape": (2,), "names": None},
        "observation.image": {"dtype": "image", "shape": (size, size, 3), "names": ["height", "width", "channels"]},
        "action": {"dtype": "float32", "shape": (2,), "names": None},
    }
    made = LeRobotDataset.create("two", fps=10, features=features, root=f"{sys.argv[1]}/{name}", use_videos=False)
    random = np.random.default_rng(0)
    for task in tasks:
        for _ in range(10):
            image = np.zeros((size, size, 3), np.uint8)
            values = {n: (random.random(2) * scale).astype("float32") for n in ("observation.state", "action")}
            made.add_frame({**values, "observation.image": image, "task": task})
        made.save_episode()
    made.finalize()
"""
RECORDINGS = {
    "small": (["push"] * 4, 32, 1.0),
    "larger": (["push"] * 4, 32, 10.0),
    "two-tasks": (["push", "pull"], 32, 1.0),
    "large-images": (["push"] * 12, 256, 1.0),
}
"""Of ten frames an episode, with one camera. Each: the task of each episode, the size of an image, the scale of what
is read.
"""


@dataclass
class Trained:
    """A training that ended."""

    exit_code: int
    lines: list[str]
    work: Path
    database: Path

    def events(self, kind):
        records = [event.parse_event(line) for line in self.lines]
        return [record.event for record in records if record and isinstance(record.event, kind)]

    def read_metric(self, name: str = "train/loss") -> dict[int, float]:
        """Its value at each step."""
        return {event.step: event.values[name] for event in self.events(Metrics) if name in event.values}

    @property
    def notes(self) -> list[str]:
        return [note.text for note in self.events(Note)]

    def ask(self, query: str) -> list[tuple]:
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()


@dataclass(frozen=True)
class Small:
    """A training to go on from. checkpoint: its last."""

    dataset: Path
    ran: Trained
    checkpoint: Path


def record_dataset(environment: str, to: Path) -> None:
    """All of `RECORDINGS` below a folder."""
    command = [Path(environment) / "bin/python", "-c", RECORD, to, json.dumps(RECORDINGS)]
    subprocess.run(command, check=True, capture_output=True)


def read_lines_until(process, sign: str) -> Iterator[str]:
    for line in process.stdout:
        yield line.rstrip("\n")
        if sign in line:
            return
    raise AssertionError(f"{sign} never came")


def numbers(checkpoint: Path) -> set[str]:
    """The formats of the numbers that a checkpoint's weights are kept in, as safetensors names them."""
    content = (checkpoint / "pretrained_model/model.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return {tensor["dtype"] for name, tensor in header.items() if name != "__metadata__"}


def read_tensors(path: Path) -> dict[str, bytes]:
    """The bytes of each tensor of a safetensors file."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    return {
        name: content[start + tensor["data_offsets"][0] : start + tensor["data_offsets"][1]]
        for name, tensor in header.items()
    }


def find_model(answer) -> Path:
    """Return the folder of the last policy that a run on this machine left."""
    run = Path(os.environ["ROBOTRAIN_STATE"], "local", answer.json["run"])
    return max(run.glob("outputs/checkpoints/0*")) / "pretrained_model"
