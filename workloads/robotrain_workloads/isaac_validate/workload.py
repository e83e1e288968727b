"""The workload `isaac-validate`: its declaration and metrics. Imports nothing heavy."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.preview import WorkPreview
from robotrain.model.workload import Role, Workload
from robotrain.model.workload_profile import Metric, OutputProfile, WorkloadProfile
from robotrain.plugins.hookspecs import hook

from robotrain_workloads import packages
from robotrain_workloads.evaluation.profile import EPISODE_LENGTH, SUCCESS_RATE
from robotrain_workloads.isaac import profile
from robotrain_workloads.isaac_validate.parameters import (
    OWNED_OPTIONS,
    IsaacValidateParameters,
    make_default_checkpoint,
)
from robotrain_workloads.package_lock import lazy_locker

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job
    from robotrain.report.evaluation import EvaluationResults

make_problem = Messages(__file__)

METRICS = (
    SUCCESS_RATE,
    Metric(
        name="rollout/avg_sum_reward",
        kind="score",
        label="mean return",
        brief="mean return",
        better="higher",
        headline=True,
    ),
    EPISODE_LENGTH,
    Metric(name="rollout/avg_max_reward", kind="score", label="mean greatest reward", better="higher"),
    Metric(name="episode_(?:return|length|success)", pattern=True, kind="episode"),
)


def check_job(job: "Job") -> "Iterator[Problem]":
    """Check what does not depend on the platform."""
    from robotrain_workloads.isaac import rules as isaac_rules

    yield from isaac_rules.check_terms(job)
    if job["video_length"] != 200 and not job["record_video"]:
        yield make_problem(
            "option-without-effect",
            Suggestion("--record-video"),
            suggest_leaving_out("--video-length"),
            given=str(job["video_length"]),
            absent=("record_video",),
        )
    yield from isaac_rules.check_played_policy(job, OWNED_OPTIONS)


def read_results(content: bytes) -> "EvaluationResults":
    """Read the results file for reports."""
    from robotrain_workloads.evaluation import results_reader

    return results_reader.read_results(content)


PROFILE = WorkloadProfile(
    resources=profile.make_resources("2h"),
    container=profile.LAB_3_0,
    outputs=OutputProfile(folder="eval_results", noun="validation", complete_file="eval_results.json", resumable=False),
    metrics=METRICS,
    experiment="isaaclab-evaluation",
)
ISAAC_VALIDATE = Workload(
    name="isaac-validate",
    summary="validate a policy of rsl_rl, skrl or sb3 in Isaac Lab",
    example_lines=("isaac-validate --checkpoint-uri RUN --eval-episodes 100 --platform PLATFORM",),
    parameters=IsaacValidateParameters,
    roles={
        "checkpoint": Role(required=True, typical=True, takes="checkpoints", default=make_default_checkpoint),
        "code": Role(reads=profile.reads_code),
        "scenes": Role(),
    },
    container_plugin="robotrain_workloads.isaac_validate.container",
    targets=("publish_url",),
    program="Isaac Lab's play script",
    produces="results",
    profile=PROFILE,
    read_results=read_results,
    derive_image_defaults=profile.derive_image_defaults,
    derive_profile=lambda job: profile.derive_profile(PROFILE, job),
    managed_options=OWNED_OPTIONS,
    get_option_name=profile.get_option_name,
    takes_value=profile.takes_value,
    named_by=("task",),
    preview=WorkPreview({"task": "task", "environments": "num_envs", "episodes": "eval_episodes"}),
    load_locker=lazy_locker.load_locker,
    needs_lock=packages.needs_lock,
    follow_run=packages.follow_run,
    check=check_job,
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload of this module."""
    return (ISAAC_VALIDATE,)
