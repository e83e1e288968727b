"""Declaration of `lerobot-stats`: statistics of LeRobot datasets. Imports nothing heavy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from robotrain.plugin import Param, Role, Workload, hook


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of a job."""

    bins: Annotated[int, Param(help="bars of the histogram of episode lengths", common=True, gt=0, le=100)] = 10


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Yield the workload of this distribution."""
    yield Workload(
        name="lerobot-stats",
        summary="dataset statistics",
        parameters=Parameters,
        roles={"dataset": Role(required=True, many=True)},
        produces="files",
        container_plugin="robotrain_lerobot_stats.container",
    )
