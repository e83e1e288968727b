"""The workload `lerobot-train`, as core sees it. Imports nothing heavy: what runs is in `container`."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from robotrain.hookspecs import hook
from robotrain.problem import Instead, Problem, Stage
from robotrain.workload import Role, Workload

from robotrain_workloads.lerobot_train.parameters import Parameters
from robotrain_workloads.lerobot_train.trainer_args import OWNED
from robotrain_workloads.lerobot_train.versions import LEROBOT

if TYPE_CHECKING:
    from robotrain.job import Job


def check(job: "Job") -> Iterator[Problem]:
    """The version asked for must be the one that is locked."""
    asked = job["lerobot_version"]
    if asked not in (None, LEROBOT):
        yield Problem(
            code="lerobot-version-not-locked",
            stage=Stage.CHECK,
            title=f"this robotrain trains with LeRobot {LEROBOT}",
            where="--lerobot-version",
            given=str(asked),
            why="The version is part of the locked environment, in which everything is pinned by hash.",
            instead=(Instead(f"--lerobot-version {LEROBOT}", "or leave it out"),),
        )


LEROBOT_TRAIN = Workload(
    name="lerobot-train",
    summary="train an ACT or Diffusion policy with LeRobot",
    parameters=Parameters,
    roles={"dataset": Role(required=True, many=True)},
    half="robotrain_workloads.lerobot_train.container",
    owned=OWNED,
    check=check,
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """The one workload of this module."""
    return (LEROBOT_TRAIN,)
