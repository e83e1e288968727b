"""The parameters of `lerobot-merge`."""

from dataclasses import dataclass
from typing import Annotated

from robotrain_runtime.contract.parameter import Param

from robotrain_workloads.lerobot import parameters as shared
from robotrain_workloads.lerobot import version_parameters
from robotrain_workloads.packages import AllowBuilds, Packages
from robotrain_workloads.parameters import CheckpointsUrl, SystemMetrics, make_model_param


@dataclass(frozen=True, kw_only=True)
class MergeParameters:
    """The parameters of `lerobot-merge`."""

    output_dir: Annotated[
        str | None, shared.make_output_param("a new folder for the policy, from the run's own (default: outputs)")
    ] = None
    float32: Annotated[bool, Param(help="write all weights in float32, instead of the number formats of the base")] = (
        False
    )
    register_checkpoint: Annotated[
        str | None, make_model_param("register the policy as a model of this name", "REGISTER_CHECKPOINT")
    ] = None
    publish_url: CheckpointsUrl = None
    lerobot_version: version_parameters.LeRobotVersion = version_parameters.DEFAULT_LEROBOT_VERSION
    trust_remote_code: shared.TrustRemoteCode = None
    packages: Packages = None
    allow_builds: AllowBuilds = False
    system_metrics: SystemMetrics = True
