"""The workload `isaac-smoke-test`: its parameters and its declaration. Imports nothing heavy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from robotrain.messages import Messages
from robotrain.model.workload import Workload
from robotrain.model.workload_profile import OutputProfile, Resources, WorkloadProfile
from robotrain.plugins.hookspecs import hook
from robotrain_runtime.contract.parameter import Param

from robotrain_workloads.isaac import parameters as shared
from robotrain_workloads.isaac import profile
from robotrain_workloads.parameters import SystemMetrics

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job

make_problem = Messages(__file__)


@dataclass(frozen=True, kw_only=True)
class SmokeTestParameters:
    """The parameters of `isaac-smoke-test`."""

    min_gpus: Annotated[int, Param(help="GPUs that must be there; 0 skips the check", common=True, ge=0)] = 1
    backend: Annotated[
        shared.Backend | None,
        Param(help="the library that must be there, in a version that Isaac Lab takes (default: either)", short="-b"),
    ] = None
    isaaclab_path: shared.IsaacLabPath = None
    accept_eula: shared.AcceptTerms = True
    system_metrics: SystemMetrics = True


def check_job(job: "Job") -> "Iterator[Problem]":
    """Check what does not depend on the platform."""
    from robotrain_workloads.isaac import rules as isaac_rules

    yield from isaac_rules.check_terms(job)
    for argument in job.trainer_args[:1]:
        yield make_problem("script-option-invalid", given=argument)


ISAAC_SMOKE_TEST = Workload(
    name="isaac-smoke-test",
    summary="check a machine for Isaac Lab: versions, GPU, EULA, identity, tracking",
    parameters=SmokeTestParameters,
    roles={},
    container_plugin="robotrain_workloads.isaac_smoke_test.container",
    program="Isaac Lab",
    produces="files",
    profile=WorkloadProfile(
        resources=Resources(cpu=4, memory="16Gi", storage="40Gi", time_limit="30m"),
        container=profile.CONTAINER,
        outputs=OutputProfile(folder="smoke_test", noun="smoke test", resumable=False),
        experiment="isaaclab-smoke-test",
    ),
    check=check_job,
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload of this module."""
    return (ISAAC_SMOKE_TEST,)
