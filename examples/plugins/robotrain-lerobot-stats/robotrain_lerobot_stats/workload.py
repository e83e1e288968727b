"""Declares `lerobot-stats`: what is in LeRobot datasets, as numbers. Imports nothing heavy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from robotrain.plugin import Param, Role, Workload, hook

ROBOTRAIN_API = 1


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What can be said."""

    bins: Annotated[int, Param(help="bars of the histogram of episode lengths", gt=0, le=100)] = 10


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """The workload of this distribution."""
    half, roles = "robotrain_lerobot_stats.container", {"dataset": Role(required=True, many=True)}
    about = {"summary": "dataset statistics", "makes": "files"}
    yield Workload(name="lerobot-stats", parameters=Parameters, roles=roles, container_plugin=half, **about)
