"""The workload `isaac-train`: its declaration. Imports nothing heavy."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain.model.preview import WorkPreview
from robotrain.model.workload import JobTemplate, Role, Workload
from robotrain.model.workload_profile import Metric, OutputProfile, WorkloadProfile
from robotrain.plugins.hookspecs import hook

from robotrain_workloads import packages
from robotrain_workloads.isaac import profile
from robotrain_workloads.isaac.parameters import TASKS_ENTRY
from robotrain_workloads.isaac_train.parameters import ENTRY, OWNED_OPTIONS, PPO, IsaacTrainParameters, find_algorithm
from robotrain_workloads.package_lock import lazy_locker

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job


def check_job(job: "Job") -> "Iterator[Problem]":
    """Check what does not depend on the platform."""
    from robotrain_workloads import rules as shared_rules
    from robotrain_workloads.isaac import rules as isaac_rules
    from robotrain_workloads.isaac_train import parameters, rules

    yield from isaac_rules.check_terms(job)
    yield from isaac_rules.check_window(job)
    yield from rules.check_start(job)
    yield from rules.check_library(job)
    yield from isaac_rules.check_digest(job)
    yield from rules.check_iterations_left(job)
    yield from rules.check_training_folder(job)
    yield from isaac_rules.check_assets(job)
    yield from isaac_rules.check_packages(job)
    has_program = any(source.role == "code" for source in job.sources) and job["entry"] != TASKS_ENTRY
    if not has_program:  # nobody knows what the user's program takes
        yield from isaac_rules.check_task(job, trains=True)
        yield from rules.check_trained_task(job)
        yield from isaac_rules.check_script_options(job, parameters.make_script(job["backend"]))
    yield from shared_rules.check_publish_url(job)


def derive_defaults(job: "Job") -> "dict[str, tuple[Any, str]]":
    """Return the library that a task is trained with unless told, or what the reference's scripts for 2.3 train.

    The folder of a job's code may bring tasks in place of a program.
    """
    from robotrain_workloads.isaac import tasks

    defaults: dict[str, tuple[Any, str]] = {}
    code = next((source for source in job.sources if source.role == "code" and source.kind == "local_path"), None)
    if code and not Path(code.uri, ENTRY).is_file():
        from robotrain_workloads.isaac import user_code

        if user_code.brings_tasks(code.uri):
            defaults["entry"] = (TASKS_ENTRY, f"of {user_code.PROJECT_FILE}")
    if job["isaac_version"] == "2.3":
        return defaults | {name: (value, "of Isaac Lab 2.3's scripts") for name, value in profile.DEFAULTS_2_3.items()}
    task = tasks.list_tasks("3.0").get(job["task"])
    if task and task.default == "skrl":
        defaults["backend"] = (task.default, f"of {job['task']}")
    return defaults


PARAMETERS = {
    "task": "Isaac-Cartpole-Direct",
    "backend": None,
    "num_envs": None,
    "max_iterations": None,
    "seed": None,
    "register_checkpoint": None,
}
"""What `robotrain init` shows of the parameters."""
EXAMPLES = {"isaac-cartpole": Path(__file__).parents[1] / "examples/isaac-cartpole"}

PROFILE = WorkloadProfile(
    resources=profile.make_resources("24h"),
    container=profile.LAB_3_0,
    outputs=OutputProfile(
        noun="training", evaluation="isaac-validate --checkpoint-uri {run} {code?}", unknown_with="code"
    ),
    metrics=(
        Metric(name="mean_reward", kind="curve", label="mean reward", brief="reward", better="higher"),
        Metric(name="Metrics/success_rate", label="success rate", brief="success", share=True, better="higher"),
        Metric(name="mean_episode_length", label="mean episode length", brief="episode length", better="higher"),
    ),
    experiment="isaaclab-training",
)


def derive_profile(job: "Job") -> WorkloadProfile:
    """Return the profile of a job: policies of several agents are not evaluated yet."""
    derived_profile = profile.derive_profile(PROFILE, job)
    if find_algorithm(job.trainer_args) == PPO:
        return derived_profile
    return dataclasses.replace(derived_profile, outputs=dataclasses.replace(derived_profile.outputs, evaluation=""))


ISAAC_TRAIN = Workload(
    name="isaac-train",
    summary="train a policy with Isaac Lab: rsl_rl, skrl or sb3",
    example_lines=(
        "isaac-train --task Isaac-Cartpole-Direct --max-iterations 200 --platform PLATFORM",
        "isaac-train --checkpoint-uri RUN --max-iterations 500 --platform PLATFORM",
    ),
    parameters=IsaacTrainParameters,
    roles={"checkpoint": Role(takes="checkpoints"), "resume": Role(), "code": Role(is_program=True), "scenes": Role()},
    container_plugin="robotrain_workloads.isaac_train.container",
    targets=("publish_url",),
    program="Isaac Lab's training script",
    profile=PROFILE,
    preview=WorkPreview({"task": "task", "environments": "num_envs", "iterations": "max_iterations"}),
    template=JobTemplate(parameters=PARAMETERS, examples=EXAMPLES),
    derive_defaults=derive_defaults,
    derive_image_defaults=profile.derive_image_defaults,
    derive_profile=derive_profile,
    managed_options=OWNED_OPTIONS,
    get_option_name=profile.get_option_name,
    takes_value=profile.takes_value,
    named_by=("task", "backend"),
    load_locker=lazy_locker.load_locker,
    needs_lock=packages.needs_lock,
    follow_run=packages.follow_run,
    check=check_job,
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload of this module."""
    return (ISAAC_TRAIN,)
