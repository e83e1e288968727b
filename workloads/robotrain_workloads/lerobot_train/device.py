"""Which device to compute on. Needs PyTorch, which is imported only when it is asked."""

import importlib
import os
from typing import Any

from robotrain_runtime.emit import emit
from robotrain_runtime.event import Note

from robotrain_workloads.lerobot_train import precision


def choose(asked: str, doing: str = "training") -> str:
    """The device: `auto` takes the best. doing: what, for the note that says where.

    Raises SystemExit with a sentence when the one asked for is not there.
    """
    torch: Any = importlib.import_module("torch")
    there = [name for name, usable in _usable(torch).items() if usable]
    if asked != "auto" and asked not in there:
        raise SystemExit(
            f"error: --device {asked}: PyTorch {torch.__version__} finds no such device on this machine;"
            f" it can use {' or '.join(there)} (--device auto takes the first)"
        )
    chosen = there[0] if asked == "auto" else asked
    if why := _too_few(torch, asked, chosen):
        raise SystemExit(f"error: {why}")
    if why := precision.wrong(chosen, precision.of_this_process()):
        raise SystemExit(f"error: {why} ({precision.INSTEAD})")
    if chosen == "cpu":
        _spare_a_core(torch)
    if first_rank():
        emit(Note(level="info", text=f"{doing} on {_described(torch, chosen)}"))
    return chosen


def first_rank() -> bool:
    """Whether this process speaks for the others."""
    return os.environ.get("RANK", "0") == "0"


def ranks() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def threads(processes: int) -> int:
    """So many for each process: on a GPU each, or on the cores together. What the person set stays."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() else max(1, (_cores() - 1) // processes)


def _usable(torch: Any) -> dict[str, bool]:
    mps = getattr(torch.backends, "mps", None)
    return {"cuda": torch.cuda.is_available(), "mps": bool(mps and mps.is_available()), "cpu": True}


def _too_few(torch: Any, asked: str, chosen: str) -> str:
    """A sentence when several processes want a GPU each. Only `--device cpu` has them share the cores."""
    count = ranks()
    there = torch.cuda.device_count() if chosen == "cuda" else 0
    if count == 1 or asked == "cpu" or there >= count:
        return ""
    usable = f"{there or 'no'} GPU{'s' * (there != 1)}"
    return (
        f"--num-gpus {count}: PyTorch {torch.__version__} can use {usable} of this machine"
        f" (--num-gpus {max(1, there)}; --device cpu trains with {count} processes on its cores)"
    )


def _spare_a_core(torch: Any) -> None:
    """With a thread on every core, one busy core makes all of them wait: measured, up to ten times slower."""
    if "OMP_NUM_THREADS" in os.environ:
        return
    os.environ["OMP_NUM_THREADS"] = str(threads(1))
    torch.set_num_threads(threads(1))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _described(torch: Any, device: str) -> str:
    count, each = ranks(), ""
    if count > 1:
        each = f"{count} GPUs, " if device == "cuda" else f"{count} processes, each on "
    if device == "cuda":
        return f"{each}cuda ({torch.cuda.get_device_name(0)})"
    return f"{each}{device}, threads: {torch.get_num_threads()}" if device == "cpu" else device
