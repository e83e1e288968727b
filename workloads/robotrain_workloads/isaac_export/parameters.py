"""Parameters of `isaac-export`. Names: contract, A.7."""

from __future__ import annotations  # evaluated for the jobs of this workload alone

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from robotrain_runtime.contract.parameter import Param

from robotrain_workloads.isaac import parameters as shared
from robotrain_workloads.packages import AllowBuilds, Packages
from robotrain_workloads.parameters import ResultsUrl, SystemMetrics, make_model_param

Format = Literal["onnx", "jit", "both"]
DEFAULT_TASKS = {"2.3": "Isaac-Ant-v0", "3.0": "Isaac-Ant"}
OWNED_OPTIONS: Mapping[str, str] = shared.list_owned_options("remove it: the checkpoint tells", "--video-length")


@dataclass(frozen=True, kw_only=True)
class IsaacExportParameters:
    """The parameters of `isaac-export`."""

    task: Annotated[
        str | None,
        shared.make_task_param(
            "the task to play (default: the one that the policy was trained for, if known, else "
            f"{DEFAULT_TASKS['3.0']})"
        ),
    ] = None
    format: Annotated[
        Format,
        Param(
            help="what to export: an ONNX file, TorchScript, or both",
            common=True,
            short="-f",
            env=("INFERENCE_FORMAT",),
        ),
    ] = "both"
    backend: Annotated[
        shared.ExportedBackend | None,
        Param(help="the library that you expect; a checkpoint of the other one is rejected"),
    ] = None
    sha256: shared.CheckpointDigest = None
    agent_config: Annotated[
        str | None,
        Param(
            help="params/agent.yaml of the training, if it is not beside the checkpoint: an https URL, or an absolute "
            "path where the job runs",
            metavar="FILE",
            pattern=r"^(https://\S+|/.*)$",
            pattern_help="an https URL or an absolute path",
        ),
    ] = None
    num_envs: Annotated[int, Param(help="environments that are played", short="-n", env=("NUM_ENVS",), gt=0)] = 4
    max_steps: Annotated[
        int,
        Param(
            help="steps that each format is played and measured; 0: to the video's end",
            short="-m",
            env=("MAX_STEPS",),
            ge=0,
        ),
    ] = 500
    video_length: Annotated[
        int, Param(help="frames of each format's video; 0 for none", short="-v", env=("VIDEO_LENGTH",), ge=0)
    ] = 200
    seed: Annotated[int, Param(help="the seed of the environments", ge=0, le=2**31 - 1)] = 42
    headless: shared.Headless = True
    job_name: Annotated[str, Param(help="the name of the tracking run", short="-j", env=("JOB_NAME",))] = "isaac-export"
    experiment_name: Annotated[
        str | None, Param(help="the tracking experiment (default: inference-TASK)", env=("EXPERIMENT_NAME",))
    ] = None
    register_model: Annotated[
        str | None, make_model_param("register the exported policy as a model of this name", "REGISTER_MODEL")
    ] = None
    publish_url: ResultsUrl = None
    packages: Packages = None
    allow_builds: AllowBuilds = False
    isaac_version: shared.IsaacLabVersion = "3.0"
    pass_unknown: shared.PassUnknown = False
    isaaclab_path: shared.IsaacLabPath = None
    accept_eula: shared.AcceptTerms = True
    system_metrics: SystemMetrics = True


def list_formats(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the formats to export."""
    return ("onnx", "jit") if parameters["format"] == "both" else (str(parameters["format"]),)
