"""Versions that the locks pin: LeRobot, Python, the platform and CUDA."""

import re
from pathlib import Path

LEROBOT_VERSION = "0.6.1"
LEROBOT_SERIES = "0.6"
PYTHON = "3.12"
PLATFORM = "Linux-x86_64"
GIB = 9.0
"""Disk space of a built environment."""

CUDA_PIN = re.compile(r"^nvidia-cuda-runtime(?:-cu\d+)?==(\d+\.\d+)", re.MULTILINE)


def read_cuda_version(lock: Path) -> str:
    """Return the CUDA version of a lock, such as `12.8`; empty when it has none."""
    match = CUDA_PIN.search(lock.read_text(encoding="utf-8"))
    return match[1] if match else ""
