"""The workload `lerobot-merge`: its declaration. Imports nothing heavy."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from robotrain.errors import suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.workload import Role, Workload
from robotrain.model.workload_profile import Container, OutputProfile, Resources, WorkloadProfile
from robotrain.plugins.hookspecs import hook

from robotrain_workloads import packages
from robotrain_workloads.lerobot import version_parameters
from robotrain_workloads.lerobot_merge.parameters import MergeParameters
from robotrain_workloads.package_lock import lazy_locker

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job

make_problem = Messages(__file__)


def follow_run(job: "Job", earlier: "Job") -> dict[str, tuple[Any, str]]:
    """Return the packages and the version of LeRobot of the run whose adapter a job takes: those that load it."""
    version = dict(earlier.parameters).get("lerobot_version")
    return {**({"lerobot_version": (version, packages.OWNER)} if version else {}), **packages.follow_run(job, earlier)}


def check_job(job: "Job") -> "Iterator[Problem]":
    """Check what does not depend on the platform."""
    from robotrain_workloads import rules as shared_rules
    from robotrain_workloads.lerobot import rules

    yield from rules.check_backbones(job)
    yield from rules.check_remote_code(job)
    yield from shared_rules.check_builds(job)
    yield from shared_rules.check_publish_url(job)
    for argument in job.trainer_args[:1]:
        yield make_problem("script-option-invalid", *[suggest_leaving_out("--")], given=argument)


LEROBOT_MERGE = Workload(
    name="lerobot-merge",
    summary="merge an adapter of a LeRobot policy into its base: one policy that plain LeRobot loads",
    example_lines=("lerobot-merge --policy-run RUN --platform PLATFORM",),
    parameters=MergeParameters,
    roles={"policy": Role(required=True, typical=True, takes="checkpoints"), "backbone": Role(many=True)},
    container_plugin="robotrain_workloads.lerobot_merge.container",
    targets=("publish_url",),
    data_packages=version_parameters.list_data_packages,
    implies_sources=lambda job: True,
    program="LeRobot",
    load_locker=lazy_locker.load_locker,
    needs_lock=packages.needs_lock,
    follow_run=follow_run,
    profile=WorkloadProfile(
        resources=Resources(cpu=4, memory="48Gi", storage="80Gi", time_limit="2h"),
        container=Container(environment="lerobot-training-env"),
        outputs=OutputProfile(noun="merge", required=True, evaluation="lerobot-eval --policy-run {run} {backbone?}"),
        experiment="lerobot-merge",
    ),
    check=check_job,
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload of this module."""
    return (LEROBOT_MERGE,)
