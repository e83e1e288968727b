"""A checkpoint of one iteration that the stand-in trained, as isaac-train publishes it: made within some seconds."""

import os
import subprocess
from pathlib import Path

from robotrain_workloads.isaac import checkpoint_file

from isaac_stand_in import environments, make_lab

TASK, RECURRENT_TASK = "Isaac-Cartpole-v0", "Isaac-Cartpole-Recurrent-v0"


def make_environ(folder: Path) -> dict[str, str]:
    """Lay out an installation in `folder`; return this process's variables, without robotrain's, and those of it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ROBOTRAIN_", "STANDIN_"))}
    return {**own, **make_image(folder)}


def make_image(folder: Path) -> dict[str, str]:
    """Lay out an installation in `folder`; return the variables with which an image leads there."""
    folder.mkdir(parents=True)
    make_lab(folder)
    python = str(environments.install())
    return {"ISAACLAB_PATH": str(folder), "STANDIN_PYTHON": python, "OMP_NUM_THREADS": "1"}


def train(folder: Path, backend: str = "rsl_rl", task: str = TASK) -> None:
    """Train for one iteration; the checkpoint is `folder/checkpoint`."""
    lab = folder / "lab"
    environ = {**os.environ, **make_image(lab)}
    scripts = lab / "scripts/reinforcement_learning"
    words = ("--task", task, "--num_envs", "16", "--max_iterations", "1", "--headless")
    command = ["bash", lab / "isaaclab.sh", "-p", scripts / backend / "train.py", *words]
    subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True)
    newest = sorted(folder.glob("logs/**/*_*.pt"))[-1]
    checkpoint_file.write_facts(folder / "checkpoint", task, backend)
    os.replace(newest, folder / "checkpoint" / newest.name)
    agent = next(folder.glob("logs/**/params/agent.yaml"))
    os.replace(agent, folder / "checkpoint/params/agent.yaml")


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the files of the checkpoint that was trained in `folder`, by their paths."""
    base = folder / "checkpoint"
    return {path.relative_to(base).as_posix(): path.read_bytes() for path in base.rglob("*") if path.is_file()}
