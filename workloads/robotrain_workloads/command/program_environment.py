"""The environment of the user's program: what was locked for it, or that of a workload that robotrain ships."""

import re
from pathlib import Path

from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import JobDocument

LOCK_NAME = "program.txt"
PLATFORM = "Linux-x86_64"
LEAST_GIB = 0.5
TORCH_GIB = 9.0
"""The disk space of an environment with PyTorch and CUDA, if the size of its files is not known."""
UNPACKED = 2.5
"""How many times as large as its wheels an environment is."""


def program_environment(document: JobDocument, work: Path) -> PythonEnvironment | None:
    """Return the environment that the document's lock describes; None if it has none."""
    if not document.program_lock:
        return None
    lock = work / LOCK_NAME
    lock.write_text(document.program_lock, encoding="utf-8")
    return PythonEnvironment(
        lock=lock, python=document.program_python, gib=estimate_gib(document.program_lock), platform=PLATFORM
    )


def estimate_gib(lock: str) -> float:
    """Return the disk space, in GiB, of a lock's environment: its first line says how large its wheels are."""
    match = re.search(r"(\d+) bytes$", lock.partition("\n")[0])
    if match and match[1] != "0":
        return round(LEAST_GIB + UNPACKED * int(match[1]) / 1024**3, 1)
    return TORCH_GIB if re.search(r"^torch==", lock, re.MULTILINE) else LEAST_GIB
