"""The workload `count`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from robotrain.plugin import Param, Workload, hook


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """How far, and how slowly."""

    count: Annotated[int, Param(help="the last number")] = 3
    pause: Annotated[float, Param(help="seconds a number")] = 0.0
    num_gpus: Annotated[int, Param(help="GPUs")] = 0


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload."""
    return [
        Workload(name="count", summary="counts", parameters=Parameters, roles={}, container_plugin="counting.container")
    ]
