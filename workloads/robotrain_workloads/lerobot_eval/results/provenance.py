"""What decides the results beside the policy and the environment: versions of packages; and the memory that it took."""

import importlib
from contextlib import suppress
from importlib import metadata
from typing import Any

from robotrain_workloads.lerobot.loaded_policy import LoadedPolicy

PACKAGES = (
    *("lerobot", "torch", "numpy", "gymnasium", "gym-pusht", "pymunk", "gym-aloha", "dm-control", "mujoco"),
    *("metaworld", "hf-libero", "libero", "robosuite", "transformers"),
)


def list_packages() -> dict[str, str]:
    """Return the installed ones of these, with their versions."""
    versions = {}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


class GpuMemory:
    """The memory of the GPU that a loaded policy takes while it acts; others may be loaded beside it."""

    def __init__(self, loaded: LoadedPolicy) -> None:
        """Begin to measure."""
        self._torch: Any = importlib.import_module("torch") if loaded.device.startswith("cuda") else None
        if self._torch:
            module = loaded.policy
            self._own = sum(
                tensor.numel() * tensor.element_size() for tensor in (*module.parameters(), *module.buffers())
            )
            self._torch.cuda.reset_peak_memory_stats()
            self._before = self._torch.cuda.memory_allocated()

    def measure_peak(self) -> float | None:
        """Return the most so far, in MiB; None without a GPU."""
        if not self._torch:
            return None
        return float((self._own + self._torch.cuda.max_memory_allocated() - self._before) / 2**20)
