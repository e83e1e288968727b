"""The device to compute on. Needs PyTorch, which is imported on use."""

import os
from collections.abc import Mapping
from typing import Any

from robotrain_runtime.contract.container_plugin import GpuRequirement
from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.event import emit_note
from robotrain_runtime.contract.problem import Suggestion
from robotrain_runtime.machine import hardware

from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot.parameters import PRECISION_HINT, PRECISION_VARIABLE, find_precision_problem

WITHOUT_GPU = Suggestion("--device cpu", "computes on the CPU, slowly")


def choose_device(requested: str, activity: str = "training", *, leaves_core: bool = False) -> str:
    """Return the device; `auto` takes the best. `activity` names the work in the note about the device.

    :param leaves_core: whether a CPU has a core left for other processes. A training leaves none by itself: sums of
        another number of threads differ in the last bit from those of the trainer alone.
    Raise SystemExit with a sentence when the requested one is not available.
    """
    import torch

    mps = getattr(torch.backends, "mps", None)
    usable_by_device = {"cuda": torch.cuda.is_available(), "mps": bool(mps and mps.is_available()), "cpu": True}
    available_devices = [name for name in usable_by_device if usable_by_device[name]]
    if requested != "auto" and requested not in available_devices:
        raise WorkFailed(
            f"--device {requested}: PyTorch {torch.__version__} finds no such device;"
            f" available: {', '.join(available_devices)} (--device auto takes the first)"
        )
    chosen_device = available_devices[0] if requested == "auto" else requested
    if problem := _explain_missing_gpus(torch, requested, chosen_device):
        raise WorkFailed(problem)
    if problem := find_precision_problem(chosen_device, os.environ.get(PRECISION_VARIABLE, "no")):
        raise WorkFailed(f"{problem} ({PRECISION_HINT})")
    if chosen_device == "cpu" and leaves_core and "OMP_NUM_THREADS" not in os.environ:
        # With a thread on every core, one busy core delays all of them: measured, up to ten times slower.
        os.environ["OMP_NUM_THREADS"] = str(count_threads(1))
        torch.set_num_threads(count_threads(1))
    if is_first_rank():
        emit_note(f"{activity} on {_describe_device(torch, chosen_device)}")
    return chosen_device


def name_hardware(device: str) -> str:
    """Return what a device is called, where nodes may have different ones; empty for a CPU."""
    import torch

    return str(torch.cuda.get_device_name(0)) if device == "cuda" else ""


def find_gpu_requirement(parameters: Mapping[str, Scalar], cuda: str = "") -> GpuRequirement | None:
    """Return the GPUs that a job needs; None if it also runs without: `--device auto` takes one if there is one.

    `cuda` is the version of its environment; empty for any.
    """
    count, device = parameters.get("num_gpus", 1), parameters["device"]  # an evaluation takes one
    assert isinstance(count, int)
    precision = parameters.get("mixed_precision")
    excludes_cpu = bool(find_precision_problem("cpu", str(precision)))
    takes_any = device == "auto" and count == 1
    if device in ("cpu", "mps") or (takes_any and not excludes_cpu):
        return None
    without_gpu = WITHOUT_GPU
    if excludes_cpu:
        without_gpu = WITHOUT_GPU._replace(text=PRECISION_HINT) if takes_any else Suggestion("")
    return GpuRequirement(count=count, bf16=precision == "bf16", cuda=cuda, without=without_gpu)


def is_first_rank() -> bool:
    """Return whether this process reports for all ranks."""
    return os.environ.get("RANK", "0") == "0"


def count_ranks() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def count_local_ranks() -> int:
    """Return how many of them run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", count_ranks()))


def count_threads(processes: int) -> int:
    """Return the threads of each process on this machine, where a core is left for the loading of data."""
    return hardware.count_threads(processes, spare=1)


def _explain_missing_gpus(torch: Any, requested: str, chosen_device: str) -> str:
    """Return a sentence when several processes need a GPU each. Only with `--device cpu` they share the cores."""
    count = count_local_ranks()
    available_gpus = torch.cuda.device_count() if chosen_device == "cuda" else 0
    if count == 1 or requested == "cpu" or available_gpus >= count:
        return ""
    usable_gpus = f"{available_gpus or 'no'} GPU{'s' * (available_gpus != 1)}"
    return (
        f"--num-gpus {count}: PyTorch {torch.__version__} can use {usable_gpus} on this machine"
        f" (--num-gpus {max(1, available_gpus)}; --device cpu trains with {count} processes on its cores)"
    )


def _describe_device(torch: Any, device: str) -> str:
    count, prefix = count_ranks(), ""
    if count > 1:
        prefix = f"{count} GPUs, " if device == "cuda" else f"{count} processes, each on "
    if (nodes := count // count_local_ranks()) > 1:
        prefix = f"{nodes} nodes, {prefix}"
    if device == "cuda":
        return f"{prefix}cuda ({torch.cuda.get_device_name(0)})"
    return f"{prefix}{device}, threads: {torch.get_num_threads()}" if device == "cpu" else device
