"""How many processes load data. They hand batches over in shared memory, of which a container may have little: where it
runs out, they die of a bus error. Standard library only.
"""

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.document import JobDocument
from robotrain_runtime.event import Note

from robotrain_workloads.lerobot_train import dataset
from robotrain_workloads.lerobot_train.start import Start
from robotrain_workloads.lerobot_train.trainer_args import value_of

SHARED = Path("/dev/shm")
MIB = 1 << 20
SPARE = 32 * MIB
"""For everything but batches, in each process that trains."""
AHEAD = "--prefetch_factor"
USUALLY_AHEAD = 4
"""LeRobot's own: the batches that each process has ready."""
IN_USE = 2
"""Batches that are out of the hands of who loaded them: PyTorch's and Accelerate's own."""
FRAMES = {"act": 1, "diffusion": 2}
"""Images of each camera that a sample has, where nobody says `--policy.n_obs_steps`."""
LONGEST = 100
"""Of other values a sample may have so many: the chunk of actions of ACT."""


def free(place: Path = SHARED) -> int | None:
    """Bytes of shared memory that are free; None where the machine has no such place."""
    with suppress(OSError):
        found = os.statvfs(place)
        return found.f_bavail * found.f_frsize
    return None


def workers(document: JobDocument, begin: Start, root: Path) -> tuple[int, tuple[Note, ...]]:
    """So many as were asked for, or as there is shared memory for; then it is said."""
    asked, there = _int(document.parameters["num_workers"]), free(SHARED)
    if not asked or there is None:
        return asked, ()
    batch = _loaders(document) * _sample(document, begin, root) * _int(document.parameters["batch_size"])
    ahead = _number(document, AHEAD, USUALLY_AHEAD)
    ranks = _int(document.parameters["num_gpus"])

    def need(count: int) -> int:
        """Of all that train."""
        return ranks * (SPARE + (count * ahead + IN_USE) * batch)

    fitting = next((count for count in range(asked, 0, -1) if need(count) <= there), 0)
    return fitting, () if fitting == asked else (_few(fitting, asked, there, need(asked)),)


def _few(count: int, asked: int, there: int, needed: int) -> Note:
    how = f"with {count} of {asked} processes" if count else "in the training process itself"
    text = (
        f"data is loaded {how}: {SHARED} has {there / MIB:.0f} MiB free, and --num-workers {asked} may take"
        f" {math.ceil(needed / MIB)} MiB (give the container more shared memory, or ask for --num-workers {count})"
    )
    return Note(level="warning", text=text)


def _loaders(document: JobDocument) -> int:
    """The held-out episodes have processes of their own, which stay."""
    return 2 if document.parameters["val_split"] and document.parameters["eval_freq"] != 0 else 1


def _sample(document: JobDocument, begin: Start, root: Path) -> int:
    """The bytes of one, at most; 0 when the dataset does not say."""
    policy = str(document.parameters["policy_type"])
    usual = begin.settings.get("n_obs_steps")
    frames = _number(document, "--policy.n_obs_steps", usual if isinstance(usual, int) else FRAMES.get(policy, 1))
    try:
        features = dataset.info(root)["features"]
    except (OSError, ValueError):
        return 0
    return sum(_values(found, frames) for found in features.values()) if isinstance(features, dict) else 0


def _values(feature: Mapping[str, Any], frames: int) -> int:
    """Bytes of a feature in a sample: frames of a video stay as they are, everything else becomes 32 bits wide."""
    with suppress(ValueError, KeyError, TypeError):
        width, times = {"video": (1, frames), "image": (4, frames)}.get(feature["dtype"], (4, LONGEST))
        return width * times * math.prod(int(length) for length in feature["shape"])
    return 0


def _number(document: JobDocument, name: str, usual: int) -> int:
    """What the person said after `--`."""
    said = value_of(document.trainer_args, name) or ""
    return int(said) if said.isdecimal() else usual


def _int(value: Any) -> int:
    assert isinstance(value, int)
    return value
