"""Small trainings on bags, in the workload's own environment."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import source_tree
from recorded_bags import FLOATS, SECOND, START, Recording, floats
from robotrain_workloads.rosbag_act_train.parameters import RosbagActParameters

TRAINER = "robotrain_workloads.rosbag_act_train.trainer"
LAUNCHER = "robotrain_workloads.rosbag_act_train.launcher"
SEVERAL = f"import sys; from {TRAINER} import main; sys.exit(max(main(text) for text in sys.argv[1:]))"
SMALL = {
    "state_topic": "/joint_states",
    "action_topic": "/action",
    "environment_state_topic": "/action",
    "fps": 10.0,
    "chunk_size": 10,
    "dim_model": 16,
    "n_heads": 2,
    "dim_feedforward": 32,
    "n_encoder_layers": 1,
    "n_vae_encoder_layers": 1,
    "latent_dim": 4,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "training_steps": 40,
    "save_freq": 20,
    "log_freq": 10,
    "device": "cpu",
    "val_split": 0.34,
}


def make_parameters(**changed: Any) -> dict[str, Any]:
    """Return the parameters of a small training."""
    return vars(RosbagActParameters(**{**SMALL, **changed}))


def record_keypoints(folder: Path, count: int) -> None:
    """Write a bag with a topic of so many values beside the usual ones."""
    recording = Recording()
    for step in range(recording.steps):
        log = START + step * SECOND // 10
        recording.messages.append(("/keypoints", FLOATS, log, floats([step / 40 + one for one in range(count)])))
    recording.write(folder)


class BagTraining:
    """Trainings on the bags of a folder; checkpoints lie in a folder of each training's name."""

    def __init__(self, folder: Path, python: Path, bags: Path) -> None:
        self.folder, self._python, self._bags = folder, python, bags

    def settings(
        self,
        name: str,
        resume: Path | None = None,
        policy: Path | None = None,
        weights: Path | None = None,
        **changed: Any,
    ) -> str:
        """The trainer's argument."""
        settings = {
            "parameters": make_parameters(**changed),
            "bags": [str(self._bags)],
            "cache": str(self.folder / "cache"),
            "checkpoints": str(self.folder / name),
            "resume": resume and str(resume),
            "policy": policy and str(policy),
            "weights": [(str(weights), "")] if weights else [],
        }
        return json.dumps(settings)

    def start(self, name: str, **changed: Any) -> subprocess.Popen[str]:
        """Start a training as a run does."""
        count = changed.get("num_gpus", 1)
        program = [TRAINER] if count == 1 else [LAUNCHER, f"--count={count}"]
        return self._run("-m", *program, self.settings(name, **changed))

    def train(self, name: str, **changed: Any) -> list[str]:
        """Train to the end; return what it said."""
        return finish(self.start(name, **changed))

    def train_several(self, all_settings: Iterable[str]) -> list[str]:
        """Train one after another in one process."""
        return finish(self._run("-c", SEVERAL, *all_settings))

    def weights(self, name: str) -> dict[str, Any]:
        """The weights of the last checkpoint."""
        from numpy import frombuffer

        file = max((self.folder / name).glob("*")) / "pretrained_model" / "model.safetensors"
        content = file.read_bytes()
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        found = {}
        for key, entry in header.items():
            if key != "__metadata__":
                first, last = entry["data_offsets"]
                found[key] = frombuffer(content[8 + size + first : 8 + size + last], "float32")
        return found

    def _run(self, *words: str) -> subprocess.Popen[str]:
        parts = os.pathsep.join(str(source_tree.ROOT / part) for part in ("workloads", "core", "runtime"))
        environ = {**os.environ, "PYTHONPATH": parts, "OMP_NUM_THREADS": "1"}
        command = [str(self._python), *words]
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str]) -> list[str]:
    """Wait for a training that succeeds; return its lines."""
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    return output.splitlines()


def read_events(lines: Iterable[str], kind: str) -> list[dict[str, Any]]:
    """The events of a kind among lines."""
    return [json.loads(line.partition(" ")[2]) for line in lines if f'"{kind}"' in line and "{" in line]


def read_losses(lines: Iterable[str], name: str = "train/loss") -> list[float]:
    """The values of a metric."""
    metrics = (event["values"] for event in read_events(lines, "metrics"))
    return [one[name] for one in metrics if name in one]
