"""A small untrained policy for PushT, as files that an evaluation loads within a second."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import robotrain_runtime
import robotrain_workloads

DATASET = Path(__file__).parents[1] / "examples/pusht-mini/dataset"
NETWORK = tuple(f"--policy.{option}" for option in ("chunk_size=8", "n_action_steps=4", "dim_model=32", "n_heads=2"))
MAKE = f"""
import sys
from pathlib import Path
from robotrain_workloads.lerobot import loaded_policy
made = loaded_policy.make_untrained_policy("act", Path(sys.argv[1]), "cpu", {NETWORK!r}, 7)
for part in (made.policy, made.preprocessor, made.postprocessor):
    part.save_pretrained(Path(sys.argv[2]))
"""


@functools.cache
def environment() -> Path:
    """That of evaluations, built as for a user, or found in the cache."""
    lock = Path(robotrain_workloads.__file__).parent / "lerobot_versions/v0_6_1/eval.txt"
    command = [sys.executable, "-m", "robotrain_runtime", "environment", str(lock)]
    return Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


def save(folder: Path) -> None:
    """Into `folder/policy`."""
    ours = [str(Path(package.__file__).parents[1]) for package in (robotrain_runtime, robotrain_workloads)]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(ours), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    python = environment() / "bin/python"
    subprocess.run([python, "-c", MAKE, DATASET, folder / "policy"], env=environ, check=True, capture_output=True)


def files(folder: Path) -> dict[str, bytes]:
    """Of the policy that was saved into `folder`, by their names."""
    return {path.name: path.read_bytes() for path in (folder / "policy").iterdir()}
