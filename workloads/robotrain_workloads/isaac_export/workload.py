"""The workload `isaac-export`: its declaration and metrics. Imports nothing heavy."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from robotrain.model.preview import WorkPreview
from robotrain.model.workload import Role, Workload
from robotrain.model.workload_profile import Metric, OutputProfile, WorkloadProfile
from robotrain.plugins.hookspecs import hook

from robotrain_workloads import packages
from robotrain_workloads.isaac import profile
from robotrain_workloads.isaac_export.parameters import OWNED_OPTIONS, IsaacExportParameters
from robotrain_workloads.package_lock import lazy_locker

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job
    from robotrain.report.evaluation import EvaluationResults


def _make_metrics(name: str, title: str) -> Iterator[Metric]:
    yield Metric(
        name=f"{name}/mean_episode_reward",
        kind="score",
        label=f"{title}: mean episode reward",
        brief=f"{title} reward",
        better="higher",
        headline=True,
        count=f"{name}/total_episodes",
    )
    yield Metric(name=f"{name}/total_episodes", kind="score", label=f"{title}: episodes")
    yield Metric(
        name=f"{name}/max_error",
        kind="score",
        label=f"{title}: largest difference of an action",
        brief=f"{title} error",
        better="lower",
        note="Differences are between the exported policy's actions and those of the checkpoint.",
    )
    yield Metric(name=f"{name}/mean_inference_time_ms", kind="score", label=f"{title}: mean latency", unit="ms")
    yield Metric(name=f"{name}/p95_inference_time_ms", kind="score", label=f"{title}: p95 latency", unit="ms")
    yield Metric(name=f"{name}/throughput_steps_per_sec", kind="score", label=f"{title}: steps/s", better="higher")
    yield Metric(name=f"{name}/std_episode_reward", kind="score", label=f"{title}: deviation of the episode reward")


def derive_defaults(job: "Job") -> "dict[str, tuple[Any, str]]":
    """Return the length of the videos: without Isaac Sim nothing renders them."""
    return {} if job["isaac_version"] == "2.3" else {"video_length": (0, "of Isaac Lab 3.0 without Isaac Sim")}


def check_job(job: "Job") -> "Iterator[Problem]":
    """Check what does not depend on the platform."""
    from robotrain_workloads.isaac import rules as isaac_rules
    from robotrain_workloads.isaac_export import rules

    yield from isaac_rules.check_terms(job)
    yield from rules.check_local_checkpoint(job)
    yield from isaac_rules.check_played_policy(job, OWNED_OPTIONS)


def read_results(content: bytes) -> "EvaluationResults":
    """Read the results file for reports."""
    from robotrain_workloads.isaac_export import results_reader

    return results_reader.read_results(content)


PROFILE = WorkloadProfile(
    resources=profile.make_resources("2h"),
    container=profile.LAB_3_0,
    outputs=OutputProfile(
        folder="export_results",
        noun="export",
        complete_file="export_results.json",
        register_parameter="register_model",
        required=True,
        resumable=False,
    ),
    metrics=(
        *_make_metrics("onnx", "ONNX"),
        *_make_metrics("jit", "TorchScript"),
        Metric(name="mean_reward", kind="copy"),
    ),
    experiment="isaaclab-inference",
)
ISAAC_EXPORT = Workload(
    name="isaac-export",
    summary="export a policy of Isaac Lab as ONNX and TorchScript, and play it",
    example_lines=("isaac-export --checkpoint-uri RUN --format onnx --platform PLATFORM",),
    parameters=IsaacExportParameters,
    roles={
        "checkpoint": Role(required=True, typical=True, takes="checkpoints"),
        "code": Role(reads=profile.reads_code),
        "scenes": Role(),
    },
    container_plugin="robotrain_workloads.isaac_export.container",
    targets=("publish_url",),
    program="Isaac Lab's play script",
    produces="results",
    profile=PROFILE,
    read_results=read_results,
    derive_defaults=derive_defaults,
    derive_image_defaults=profile.derive_image_defaults,
    derive_profile=lambda job: profile.derive_profile(PROFILE, job),
    managed_options=OWNED_OPTIONS,
    get_option_name=profile.get_option_name,
    takes_value=profile.takes_value,
    named_by=("task",),
    preview=WorkPreview({"task": "task", "format": "format"}),
    load_locker=lazy_locker.load_locker,
    needs_lock=packages.needs_lock,
    follow_run=packages.follow_run,
    check=check_job,
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload of this module."""
    return (ISAAC_EXPORT,)
