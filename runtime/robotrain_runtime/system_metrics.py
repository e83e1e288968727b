"""Values of the machine, by their tracking names. psutil and NVIDIA's library may be missing."""

import importlib
from collections.abc import Iterator
from typing import Any

MEGA, GIGA = 1e6, 1e9


def read() -> dict[str, float]:
    """What can be read now; a library that is missing or fails leaves its values out."""
    values: dict[str, float] = {}
    for part in (_processor_and_memory, _gpus):
        try:
            values.update(part())
        except Exception:  # a driver can fail in ways of its own; the run matters more
            continue
    return values


def _processor_and_memory() -> Iterator[tuple[str, float]]:
    psutil: Any = importlib.import_module("psutil")
    memory, disk = psutil.virtual_memory(), psutil.disk_usage("/")
    yield "system/cpu_utilization_percentage", psutil.cpu_percent(interval=0.1)
    yield "system/memory_used_megabytes", memory.used / MEGA
    yield "system/memory_available_megabytes", memory.available / MEGA
    yield "system/memory_percent", memory.percent
    yield "system/disk_used_gigabytes", disk.used / GIGA
    yield "system/disk_available_gigabytes", disk.free / GIGA
    yield "system/disk_percent", disk.percent


def _gpus() -> Iterator[tuple[str, float]]:
    nvidia: Any = importlib.import_module("pynvml")
    nvidia.nvmlInit()
    try:
        for index in range(nvidia.nvmlDeviceGetCount()):
            gpu = nvidia.nvmlDeviceGetHandleByIndex(index)
            memory = nvidia.nvmlDeviceGetMemoryInfo(gpu)
            name = f"system/gpu_{index}"
            yield f"{name}_utilization_percentage", nvidia.nvmlDeviceGetUtilizationRates(gpu).gpu
            yield f"{name}_memory_used_megabytes", memory.used / MEGA
            yield f"{name}_memory_percent", 100 * memory.used / memory.total
            yield f"{name}_power_watts", nvidia.nvmlDeviceGetPowerUsage(gpu) / 1000
    finally:
        nvidia.nvmlShutdown()
