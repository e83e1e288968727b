"""The workload `lerobot-eval`, as core sees it. Imports nothing heavy: what runs is in `container`."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from robotrain.hookspecs import hook
from robotrain.workload import Container, Outputs, Profile, Resources, Role, Workload

from robotrain_workloads.lerobot_eval.metrics import METRICS
from robotrain_workloads.lerobot_eval.options import OWNED
from robotrain_workloads.lerobot_eval.parameters import Parameters

if TYPE_CHECKING:
    from robotrain.health import HealthCheck
    from robotrain.job import Job
    from robotrain.problem import Problem


_EPISODES = "it is --eval-episodes N"
OPTION_HINTS = {
    "--eval-n-episodes": _EPISODES,
    "--n-episodes": _EPISODES,
    "--num-episodes": _EPISODES,
    "--eval-env": "it is --env NAME",
    "--eval-seed": "it is --seed N",
    "--dataset-revision": "it is part of the name: --dataset-repo-id OWNER/NAME@REVISION",
    "--policy-revision": "it is part of the name: --policy-repo-id OWNER/NAME@REVISION",
}


def check(job: "Job") -> "Iterator[Problem]":
    """What no platform changes: one policy, something to evaluate it on, and that all which is said counts."""
    from robotrain_workloads.lerobot_eval import rules
    from robotrain_workloads.lerobot_train import rules as shared

    yield from shared.version(job, "evaluates")
    yield from rules.policy(job)
    yield from rules.something_to_do(job)
    yield from rules.rollout(job)
    yield from rules.starts(job)
    yield from rules.reward(job)
    yield from rules.replay(job)
    yield from rules.options(job)
    yield from rules.registered(job)
    yield from shared.publish_url(job, "results")


LEROBOT_EVAL = Workload(
    name="lerobot-eval",
    summary="evaluate a LeRobot policy: beside recorded episodes, and in a simulated environment",
    parameters=Parameters,
    roles={"policy": Role(usual=True), "dataset": Role(many=True, usual=True)},
    half="robotrain_workloads.lerobot_eval.container",
    targets=("publish_url",),
    program="LeRobot",
    makes="results",
    profile=Profile(
        resources=Resources(cpu=4, memory="32Gi", storage="40Gi", time_limit="2h"),
        container=Container(
            image=(
                "pytorch/pytorch:2.4.1-cuda12.4-cudnn9-runtime"
                "@sha256:0a3b9fedefe1f61ac4d5a9de9015c0863db27ca0fde2d4e37e6268147980b726"
            ),
            environment="lerobot-inference-env",
        ),
        outputs=Outputs(
            folder="eval_results",
            noun="evaluation",
            complete_file="eval_results.json",
            register_parameter="register_model",
            resumable=False,
        ),
        metrics=METRICS,
        experiment="lerobot-evaluation",
    ),
    results_reader="robotrain_workloads.lerobot_eval.results_reader",
    owned=OWNED,
    option_hints=OPTION_HINTS,
    check=check,
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """The one workload of this module."""
    return (LEROBOT_EVAL,)


@hook
def robotrain_health() -> "Iterable[HealthCheck]":
    """What `robotrain doctor` looks at."""
    from robotrain_workloads import environment_health
    from robotrain_workloads.lerobot_eval.container import ENVIRONMENT

    return (environment_health.check(LEROBOT_EVAL.name, ENVIRONMENT),)
