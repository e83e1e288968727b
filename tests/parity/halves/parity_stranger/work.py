"""Declares `sing`: a workload that no platform has heard of."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from robotrain.hookspecs import hook
from robotrain.workload import Role, Workload
from robotrain_runtime.parameter import Param


@dataclass(frozen=True, kw_only=True)
class Parameters:
    voices: Annotated[int, Param(help="how many sing", gt=0)] = 1


SING = Workload(
    name="sing",
    summary="sing what was recorded",
    parameters=Parameters,
    roles={"dataset": Role(required=True, many=True)},
    half="parity_stranger.singing",
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    return (SING,)
