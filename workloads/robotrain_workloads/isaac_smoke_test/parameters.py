"""Parameters of `isaac-smoke-test`."""

from typing import Annotated

from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass
from robotrain_runtime.contract.parameter import Param

from robotrain_workloads.isaac import parameters as shared
from robotrain_workloads.parameters import SystemMetrics


@lazy_dataclass(frozen=True, kw_only=True)
class SmokeTestParameters:
    """The parameters of `isaac-smoke-test`."""

    min_gpus: Annotated[int, Param(help="GPUs that must be there; 0 skips the check", ge=0)] = 1
    backend: Annotated[
        shared.Backend | None,
        Param(help="the library that must be there, in a version that Isaac Lab takes (default: either)", short="-b"),
    ] = None
    isaaclab_path: shared.IsaacLabPath = None
    accept_eula: shared.AcceptTerms = True
    system_metrics: SystemMetrics = True
