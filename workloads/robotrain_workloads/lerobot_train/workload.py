"""The workload `lerobot-train`, as core sees it. Imports nothing heavy: what runs is in `container`."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from robotrain.hookspecs import hook
from robotrain.workload import Container, Metric, Outputs, Profile, Role, Workload

from robotrain_workloads.lerobot_train.parameters import Parameters
from robotrain_workloads.lerobot_train.trainer_args import OWNED

if TYPE_CHECKING:
    from robotrain.health import HealthCheck
    from robotrain.job import Job
    from robotrain.problem import Problem


OPTION_HINTS = {
    "--dataset-revision": "it is part of the name: --dataset-repo-id OWNER/NAME@REVISION",
    "--policy-revision": "it is part of the name: --policy-repo-id OWNER/NAME@REVISION",
}


def check(job: "Job") -> "Iterator[Problem]":
    """What no platform changes: the version, the device, one start, steps left, the place to publish to, a project."""
    from robotrain_workloads.lerobot_train import rules

    yield from rules.version(job)
    yield from rules.device(job)
    yield from rules.one_start(job)
    yield from rules.steps_left(job)
    yield from rules.publish_url(job)
    yield from rules.keep(job)
    yield from rules.wandb_project(job)


LEROBOT_TRAIN = Workload(
    name="lerobot-train",
    summary="train an ACT or Diffusion policy with LeRobot",
    parameters=Parameters,
    roles={
        "dataset": Role(required=True, many=True),
        "policy": Role(),
        "init_policy": Role(),
        "resume": Role(),
    },
    half="robotrain_workloads.lerobot_train.container",
    targets=("publish_url",),
    profile=Profile(
        container=Container(environment="lerobot-training-env"),
        outputs=Outputs(noun="training"),
        metrics=(
            Metric(name="train/loss", kind="loss", label="training loss", brief="loss", better="lower"),
            Metric(name="val/loss", kind="validation", label="loss on what was held out", brief="val", better="lower"),
        ),
        experiment="lerobot-training",
    ),
    owned=OWNED,
    option_hints=OPTION_HINTS,
    default=True,
    check=check,
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """The one workload of this module."""
    return (LEROBOT_TRAIN,)


@hook
def robotrain_health() -> "Iterable[HealthCheck]":
    """What `robotrain doctor` looks at."""
    from robotrain_workloads import environment_health
    from robotrain_workloads.lerobot_train.container import ENVIRONMENT

    return (environment_health.check(LEROBOT_TRAIN.name, ENVIRONMENT),)
