"""The number of processes that load data beside a training. Standard library only.

These processes pass batches in shared memory, of which a container may have little: without it they die of a bus error.
"""

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.event import Note
from robotrain_runtime.machine.hardware import count_cores, get_available_memory

from robotrain_workloads.dataset_check.dataset_options import NO_LOADER, is_streamed
from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.job import LerobotJob

MAX_AUTO_WORKERS = 4
"""For each GPU: LeRobot's own default."""
FEW_CORES = 2
"""Cores for each GPU with which no other process loads data."""
WORKER_BYTES = 1 << 30
"""Memory of a process, of which PyTorch and LeRobot alone take most."""
SHARED_MEMORY = Path("/dev/shm")
MIB, GIB = 1 << 20, 1 << 30
SPARE_BYTES = 32 * MIB
"""For everything but batches, in each training process."""
PREFETCH_OPTION = "--prefetch_factor"
DEFAULT_PREFETCH = 4
"""LeRobot's default: prepared batches of each process."""
BATCHES_IN_USE = 2
"""Batches that PyTorch and Accelerate hold."""
LONGEST_SEQUENCE = 100
"""The most values of another feature in a sample: ACT's chunk of actions."""


def get_free_shared_memory(folder: Path = SHARED_MEMORY) -> int | None:
    """Return the free bytes of shared memory; None where there is no such place."""
    with suppress(OSError):
        usage = os.statvfs(folder)
        return usage.f_bavail * usage.f_frsize
    return None


class WorkerCount(NamedTuple):
    """The number of processes of a training that load its data."""

    processes: int
    notes: tuple[Note, ...] = ()
    """Why."""
    loads_alone: bool = False
    """The user wants no process that loads data: as with LeRobot's `--num_workers=0`."""


def choose_worker_count(job: LerobotJob) -> WorkerCount:
    """Return the requested number, or one for this machine, and why; at most as many as shared memory allows.

    Raise OSError if that is none, and LeRobot needs one.
    """
    parameters = job.parameters
    requested, ranks = parameters["num_workers"], int(parameters["num_gpus"])
    loaders = 2 if parameters["val_split"] and parameters["eval_freq"] != 0 else 1  # one for held-out episodes, too
    count, least_workers, notes = requested, int(is_streamed(job)), tuple[Note, ...]()
    if count is None:
        count, reason = choose_auto_count(ranks, ranks * loaders, count_cores(), get_available_memory())
        if count < least_workers:  # the rule for a number that is typed
            count, reason = least_workers, NO_LOADER
        note_text = f"data is loaded {_describe_place(count)}: {reason} (--num-workers N sets another number)"
        notes = (Note(level="info", text=note_text),)
    prefetch = job.option_values.get(PREFETCH_OPTION)
    prefetch = prefetch if isinstance(prefetch, int) and prefetch >= 0 else DEFAULT_PREFETCH
    batch = loaders * parameters["batch_size"] * _estimate_sample_bytes(job)
    needed_bytes = [ranks * (SPARE_BYTES + (number * prefetch + BATCHES_IN_USE) * batch) for number in range(count + 1)]
    available_bytes = get_free_shared_memory(SHARED_MEMORY)
    fitting_count = count
    while available_bytes is not None and fitting_count and needed_bytes[fitting_count] > available_bytes:
        fitting_count -= 1
    if fitting_count < count:
        lack_text = f"{SHARED_MEMORY} has {(available_bytes or 0) / MIB:.0f} MiB free"
        if fitting_count < least_workers:
            raise OSError(
                f"{NO_LOADER}, and {lack_text}, too little for its batches"
                " (add shared memory to the container, or reduce --batch-size)"
            )
        note_text = (
            f"data is loaded {_describe_place(fitting_count, count)}: {lack_text}, but {count} may need"
            f" {math.ceil(needed_bytes[count] / MIB)} MiB (add shared memory to the container, or set --num-workers"
            f" {fitting_count})"
        )
        notes = (Note(level="warning", text=note_text),)
    return WorkerCount(fitting_count, notes, loads_alone=requested == 0)


def choose_auto_count(ranks: int, loaders: int, cores: int, memory: int | None) -> tuple[int, str]:
    """Return a number of processes for each of `ranks` GPUs and of all `loaders`, and the reason.

    Measured on two cores, 20 steps of ACT on images: 126 s with four processes, 110 s with none. `memory` is in bytes.
    """
    cores_per_rank = cores // ranks
    core_limit = min(MAX_AUTO_WORKERS, cores_per_rank - 1) if cores_per_rank > FEW_CORES else 0
    memory_limit = core_limit if memory is None else memory // 2 // (loaders * WORKER_BYTES)
    if memory_limit < core_limit:
        return memory_limit, f"{(memory or 0) / GIB:.1f} GiB of memory are available"
    cores_text = f"{cores} core{'s' * (cores > 1)}" + (f" for {ranks} GPUs" if ranks > 1 else "")
    return core_limit, f"this machine has {cores_text}"


def _describe_place(count: int, wanted: int = 0) -> str:
    if not count:
        return "in the training process itself"
    return f"with {count}{f' of {wanted}' if wanted else ''} process{'es' * (max(count, wanted) > 1)}"


def _estimate_sample_bytes(job: LerobotJob) -> int:
    """Return the most bytes of a sample; 0 when the dataset does not tell."""
    frames = job.model.facts.frames or job.values.get("n_obs_steps")
    frames = frames if isinstance(frames, int) else 1
    total, sizes = 0, {"video": (1, frames), "image": (4, frames)}  # video frames stay bytes, all else has 32 bits
    for feature in dataset.get_features(job.info).values():
        with suppress(ValueError, KeyError, TypeError):
            width, times = sizes.get(feature["dtype"], (4, LONGEST_SEQUENCE))
            total += width * times * math.prod(int(length) for length in feature["shape"])
    return total
