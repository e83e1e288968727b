"""Which device to compute on. Needs PyTorch, which is imported only when it is asked."""

import importlib
import os
from typing import Any

from robotrain_runtime.contract.event import Note, emit_event

from robotrain_workloads.lerobot import parameters


def choose_device(requested: str, activity: str = "training") -> str:
    """The device: `auto` takes the best. doing: what, for the note that says where.

    Raises SystemExit with a sentence when the one asked for is not there.
    """
    torch: Any = importlib.import_module("torch")
    there = [name for name, usable in _find_usable_devices(torch).items() if usable]
    if requested != "auto" and requested not in there:
        raise SystemExit(
            f"error: --device {requested}: PyTorch {torch.__version__} finds no such device on this machine;"
            f" it can use {' or '.join(there)} (--device auto takes the first)"
        )
    chosen = there[0] if requested == "auto" else requested
    if why := _explain_missing_gpus(torch, requested, chosen):
        raise SystemExit(f"error: {why}")
    if why := parameters.find_precision_problem(chosen, parameters.get_process_precision()):
        raise SystemExit(f"error: {why} ({parameters.PRECISION_HINT})")
    if chosen == "cpu":
        _leave_core_free(torch)
    if is_first_rank():
        emit_event(Note(level="info", text=f"{activity} on {_describe_device(torch, chosen)}"))
    return chosen


def is_first_rank() -> bool:
    """Whether this process speaks for the others."""
    return os.environ.get("RANK", "0") == "0"


def count_ranks() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def count_threads(processes: int) -> int:
    """So many for each process: on a GPU each, or on the cores together. What the person set stays."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() else max(1, (_count_cores() - 1) // processes)


def _find_usable_devices(torch: Any) -> dict[str, bool]:
    mps = getattr(torch.backends, "mps", None)
    return {"cuda": torch.cuda.is_available(), "mps": bool(mps and mps.is_available()), "cpu": True}


def _explain_missing_gpus(torch: Any, requested: str, chosen: str) -> str:
    """A sentence when several processes want a GPU each. Only `--device cpu` has them share the cores."""
    count = count_ranks()
    there = torch.cuda.device_count() if chosen == "cuda" else 0
    if count == 1 or requested == "cpu" or there >= count:
        return ""
    usable = f"{there or 'no'} GPU{'s' * (there != 1)}"
    return (
        f"--num-gpus {count}: PyTorch {torch.__version__} can use {usable} of this machine"
        f" (--num-gpus {max(1, there)}; --device cpu trains with {count} processes on its cores)"
    )


def _leave_core_free(torch: Any) -> None:
    """With a thread on every core, one busy core makes all of them wait: measured, up to ten times slower."""
    if "OMP_NUM_THREADS" in os.environ:
        return
    os.environ["OMP_NUM_THREADS"] = str(count_threads(1))
    torch.set_num_threads(count_threads(1))


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _describe_device(torch: Any, device: str) -> str:
    count, each = count_ranks(), ""
    if count > 1:
        each = f"{count} GPUs, " if device == "cuda" else f"{count} processes, each on "
    if device == "cuda":
        return f"{each}cuda ({torch.cuda.get_device_name(0)})"
    return f"{each}{device}, threads: {torch.get_num_threads()}" if device == "cpu" else device
