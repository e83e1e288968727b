"""Cores and memory that this process may use: the machine's, or fewer in a container with limits. Linux' files."""

import os
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMORY_INFO = Path("/proc/meminfo")


def count_cores(cgroup: Path = CGROUP) -> int:
    """Return the cores of this process, whole ones of a container's quota; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = _read_numbers(cgroup / "cpu.max") or (
        *(_read_numbers(cgroup / "cpu/cpu.cfs_quota_us") or (-1,)),  # of version 1, where -1 is no quota
        *(_read_numbers(cgroup / "cpu/cpu.cfs_period_us") or (1,)),
    )
    return max(1, min(cores, quota // period)) if quota > 0 < period else cores


def get_available_memory(cgroup: Path = CGROUP, memory_info: Path = MEMORY_INFO) -> int | None:
    """Return the bytes that are available, at most a container's limit; None where nothing tells."""
    limits = [
        numbers[0]
        for name in ("memory.max", "memory/memory.limit_in_bytes")  # of version 2 and 1
        if (numbers := _read_numbers(cgroup / name))
    ]
    with suppress(OSError, ValueError, IndexError):
        lines = memory_info.read_text(encoding="ascii").splitlines()
        limits += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    return min(limits, default=None)


def _read_numbers(file: Path) -> tuple[int, ...] | None:
    """Return the whole numbers of a file; None for no such file, and for "max"."""
    try:
        return tuple(map(int, file.read_text(encoding="ascii").split())) or None
    except (OSError, ValueError):
        return None
