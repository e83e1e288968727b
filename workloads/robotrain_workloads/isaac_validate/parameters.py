"""Parameters of `isaac-validate`. Names: contract, A.6."""

from __future__ import annotations  # evaluated for the jobs of this workload alone

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from robotrain_runtime.contract.parameter import Param

from robotrain_workloads.isaac import parameters as shared
from robotrain_workloads.packages import AllowBuilds, Packages
from robotrain_workloads.parameters import ResultsUrl, SystemMetrics

DEFAULT_NAME = "isaac-validate"
DEFAULT_THRESHOLD = 0.7
OWNED_OPTIONS: Mapping[str, str] = shared.list_owned_options("--backend", "--record-video")


@dataclass(frozen=True, kw_only=True)
class IsaacValidateParameters:
    """The parameters of `isaac-validate`."""

    task: Annotated[
        str | None,
        shared.make_task_param(
            "the task that the policy acts in (default: the one that it was trained for, if the checkpoint "
            "tells); without a checkpoint, the latest model of that name in small letters is validated"
        ),
    ] = None
    backend: Annotated[
        shared.Backend | None,
        Param(help="the library that you expect; a checkpoint of another one is rejected", aliases=("--framework",)),
    ] = None
    sha256: shared.CheckpointDigest = None
    job_name: Annotated[
        str | None, Param(help="the name of the tracking run (default: validate- and the task in small letters)")
    ] = None
    eval_episodes: Annotated[
        int, Param(help="episodes to roll out", common=True, aliases=("--episodes",), env=("EVAL_EPISODES",), gt=0)
    ] = 100
    num_envs: Annotated[
        int, Param(help="environments that are simulated together", common=True, short="-n", env=("NUM_ENVS",), gt=0)
    ] = 64
    success_threshold: Annotated[
        float | None,
        Param(help="the run fails if the success rate is below this (default: the model's, else 0.7)", ge=0, le=1),
    ] = None
    reward_threshold: Annotated[
        float | None,
        Param(help="the mean return that passes, where the environment does not tell whether an episode succeeded"),
    ] = None
    seed: Annotated[int, Param(help="the seed of the environments", ge=0, le=2**31 - 1)] = 42
    headless: shared.Headless = True
    record_video: Annotated[
        bool, Param(help="record a video of the environments from the first step", common=True, env=("RECORD_VIDEO",))
    ] = False
    video_length: Annotated[int, Param(help="steps of the video", env=("VIDEO_LENGTH",), gt=0)] = 200
    experiment_name: Annotated[str | None, Param(help="the tracking experiment (default: isaaclab-evaluation)")] = None
    publish_url: ResultsUrl = None
    packages: Packages = None
    allow_builds: AllowBuilds = False
    isaac_version: shared.IsaacLabVersion = "3.0"
    pass_unknown: shared.PassUnknown = False
    isaaclab_path: shared.IsaacLabPath = None
    accept_eula: shared.AcceptTerms = True
    system_metrics: SystemMetrics = True


def make_default_checkpoint(parameters: Mapping[str, Any]) -> str:
    """Return the checkpoint that is validated if none is given: the latest model that is named after the task."""
    return f"models:/{shared.make_task_slug(str(parameters['task']))}/latest" if parameters["task"] else ""


def make_job_name(parameters: Mapping[str, Any]) -> str:
    """Return the name of the tracking run."""
    if parameters["job_name"]:
        return str(parameters["job_name"])
    return f"validate-{shared.make_task_slug(str(parameters['task']))}" if parameters["task"] else DEFAULT_NAME
