"""The values of a run's machine, on one line."""

import re
from collections.abc import Iterator, Mapping

GPU = re.compile(r"system/gpu_(\d+)_memory_used_megabytes")


def machine(values: Mapping[str, float]) -> str:
    """`memory 4.2 of 16.8 GB  cpu 87%  gpu 0 12.1 GB (31%) 98%`: what is known of it."""
    return "  ".join(_parts(values))


def _parts(values: Mapping[str, float]) -> Iterator[str]:
    used, free = values.get("system/memory_used_megabytes"), values.get("system/memory_available_megabytes")
    if used is not None:
        of = f" of {(used + free) / 1000:.1f}" if free is not None else ""
        yield f"memory {used / 1000:.1f}{of} GB"
    if (busy := values.get("system/cpu_utilization_percentage")) is not None:
        yield f"cpu {busy:.0f}%"
    for number in sorted(int(found[1]) for name in values if (found := GPU.fullmatch(name))):
        yield _gpu(number, values)


def _gpu(number: int, values: Mapping[str, float]) -> str:
    name = f"system/gpu_{number}"
    share, busy = values.get(f"{name}_memory_percent"), values.get(f"{name}_utilization_percentage")
    said = f"gpu {number} {values[f'{name}_memory_used_megabytes'] / 1000:.1f} GB"
    return said + (f" ({share:.0f}%)" if share is not None else "") + (f" busy {busy:.0f}%" if busy is not None else "")
