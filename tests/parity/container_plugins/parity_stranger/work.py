"""Declares `sing`: a workload that no platform has heard of."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from robotrain.model.workload import Role, Workload
from robotrain.model.workload_profile import Container, Metric, OutputProfile, Resources, WorkloadProfile
from robotrain.plugin import hook
from robotrain_runtime.contract.parameter import Param


@dataclass(frozen=True, kw_only=True)
class Parameters:
    voices: Annotated[int, Param(help="how many sing", gt=0)] = 1


IMAGE = f"registry.example/choir:1.0@sha256:{'ab' * 32}"

SING = Workload(
    name="sing",
    summary="sing what was recorded",
    parameters=Parameters,
    roles={"dataset": Role(required=True, many=True)},
    container_plugin="parity_stranger.singing",
    profile=WorkloadProfile(
        resources=Resources(cpu=3, memory="7Gi", storage="9Gi", time_limit="45m"),
        container=Container(image=IMAGE, environment="choir-env"),
        outputs=OutputProfile(folder="songs", noun="concert", register_parameter="register_song"),
        metrics=(
            Metric(name="episode_return", kind="score", better="higher", headline=True, brief="return"),
            Metric(name="song_length", kind="score", unit="s"),
        ),
        experiment="concerts",
    ),
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    return (SING,)
