"""Versions that the locks pin: LeRobot, Python, the platform and CUDA."""

import re
from pathlib import Path

LEROBOT_VERSION = "0.6.1"
LEROBOT_SERIES = "0.6"
PYTHON = "3.12"
PLATFORM = "Linux-x86_64"
GIB = 9.0


CUDA_PIN = re.compile(r"^nvidia-cuda-runtime(?:-cu\d+)?==(\d+\.\d+)", re.MULTILINE)


def read_cuda_version(lock: Path) -> str:
    """The version of CUDA that the environment of `lock` brings, as `12.8`; empty when it brings none."""
    found = CUDA_PIN.search(lock.read_text(encoding="utf-8"))
    return found[1] if found else ""
