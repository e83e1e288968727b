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
    save_freq: Annotated[int, Param(help="numbers between two checkpoints; 0 for no checkpoints")] = 10
    start_seconds: Annotated[float, Param(help="seconds before the first number, which a stop ends")] = 0.0
    publish_url: Annotated[str | None, Param(help="folder that checkpoints are copied to")] = None
    num_gpus: Annotated[int, Param(help="GPUs")] = 0


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload."""
    return [
        Workload(name="count", summary="counts", parameters=Parameters, roles={}, container_plugin="counting.container")
    ]
