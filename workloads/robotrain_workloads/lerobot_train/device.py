"""Which device to train on. Needs PyTorch, which is imported only when it is asked."""

import importlib
import os
from typing import Any

from robotrain_runtime.emit import emit
from robotrain_runtime.event import Note


def choose(asked: str) -> str:
    """The device: `auto` takes the best. Raises SystemExit with a sentence when the one asked for is not there."""
    torch: Any = importlib.import_module("torch")
    there = [name for name, usable in _usable(torch).items() if usable]
    if asked != "auto" and asked not in there:
        raise SystemExit(
            f"error: --device {asked}: PyTorch {torch.__version__} finds no such device on this machine;"
            f" it can use {' or '.join(there)} (--device auto takes the first)"
        )
    chosen = there[0] if asked == "auto" else asked
    if chosen == "cpu":
        _spare_a_core(torch)
    if first_rank():
        emit(Note(level="info", text=f"training on {_described(torch, chosen)}"))
    return chosen


def first_rank() -> bool:
    """Whether this process speaks for the others."""
    return os.environ.get("RANK", "0") == "0"


def _usable(torch: Any) -> dict[str, bool]:
    mps = getattr(torch.backends, "mps", None)
    return {"cuda": torch.cuda.is_available(), "mps": bool(mps and mps.is_available()), "cpu": True}


def _spare_a_core(torch: Any) -> None:
    """With a thread on every core, one busy core makes all of them wait: measured, up to ten times slower."""
    if "OMP_NUM_THREADS" in os.environ:
        return
    threads = max(1, _cores() - 1)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _described(torch: Any, device: str) -> str:
    if device == "cuda":
        return f"cuda ({torch.cuda.get_device_name(0)})"
    return f"{device}, threads: {torch.get_num_threads()}" if device == "cpu" else device
