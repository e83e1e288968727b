"""The workload `lerobot-train`: its declaration. Imports nothing heavy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain.model.preview import WorkPreview
from robotrain.model.workload import JobTemplate, Role, Workload
from robotrain.model.workload_profile import Container, Metric, OutputProfile, WorkloadProfile
from robotrain.plugins.hookspecs import hook

from robotrain_workloads import lerobot_declarations, packages
from robotrain_workloads.lerobot import version_parameters
from robotrain_workloads.lerobot_train.parameters import OWNED_OPTIONS, TrainParameters
from robotrain_workloads.package_lock import lazy_locker

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.data_report import DataReading, DataReport, RemoteFiles
    from robotrain.model.job import Job
    from robotrain.model.workload import FoundInput
    from robotrain_runtime.contract.document import JobDocument, JobSource


def derive_defaults(job: "Job") -> dict[str, tuple[Any, str]]:
    """Return the type that a job trains, and its learning rate."""
    from robotrain_workloads.lerobot_train import rules

    return rules.derive_defaults(job)


def describe_unset(job: "Job") -> dict[str, tuple[Any, str]]:
    """Return the statistics that a job reads."""
    from robotrain_workloads.dataset_check import statistics_needs

    choice = statistics_needs.choose_statistics(dict(job.parameters), job.sources)
    reason = "with several datasets or --exclude-episodes" if choice == statistics_needs.COMPUTED else "of one dataset"
    return {"statistics": (choice, reason)}


def check_job(job: "Job") -> "Iterator[Problem]":
    """Check what does not depend on the platform."""
    from robotrain_workloads import rules as shared_rules
    from robotrain_workloads.lerobot import rules
    from robotrain_workloads.lerobot.job import LerobotJob
    from robotrain_workloads.lerobot_mixture.rules import check_mixture
    from robotrain_workloads.lerobot_train import rules as train_rules

    lerobot_job = LerobotJob(job)
    yield from train_rules.check_type(lerobot_job)
    yield from train_rules.check_rates(lerobot_job)
    yield from train_rules.check_learning_rate(lerobot_job)
    yield from train_rules.check_decay(lerobot_job)
    yield from train_rules.check_precision(lerobot_job)
    yield from train_rules.check_options(lerobot_job)
    yield from rules.check_backbones(job)
    yield from rules.check_remote_code(job)
    yield from rules.check_device(job)
    yield from rules.check_single_start(job)
    yield from rules.check_excluded_episodes(job)
    yield from check_mixture(lerobot_job)
    yield from train_rules.check_bags(lerobot_job)
    yield from rules.check_steps_left(job)
    yield from shared_rules.check_publish_url(job)
    yield from shared_rules.check_builds(job)
    yield from train_rules.check_rename(lerobot_job)
    yield from train_rules.check_adapter(lerobot_job)
    yield from train_rules.check_keep(lerobot_job)
    yield from train_rules.check_frame_cache(lerobot_job)
    yield from train_rules.check_early_stop(lerobot_job)
    yield from train_rules.check_scored_checkpoints(lerobot_job)
    yield from train_rules.check_wandb_project(lerobot_job)


def implies_sources(job: "Job") -> bool:
    """Return whether the policy may read what nobody gave: repositories that it or its type names, and weights."""
    from robotrain_workloads.lerobot import image_weights, lineage
    from robotrain_workloads.lerobot.trained_model import choose_model

    has_start = lineage.find_start_source(job.sources) is not None
    model = choose_model(dict(job.parameters), {})
    return has_start or bool(model.facts.repositories) or image_weights.WEIGHTS_OPTION in model.options


def implied_sources(document: "JobDocument", described: Mapping["JobSource", Path]) -> Mapping[str, Sequence[str]]:
    """Return what the policy may read, by role."""
    from robotrain_workloads.lerobot_train import implied_inputs

    return implied_inputs.implied_sources(document, described)


BAGS_MODULE = "robotrain_workloads.rosbag.bag_datasets"


def list_data_packages(job: "Job") -> dict[str, str]:
    """Return what the container plugin reads of a job's LeRobot, and of bags if its data are bags."""
    return version_parameters.list_data_packages(job) | ({"bags": BAGS_MODULE} if job["bags"] else {})


def logs_metric(job: "Job", metric: str) -> bool:
    """Return whether a training reports a metric: no validation loss without held-out episodes or an interval."""
    parameters = dict(job.parameters)
    interval = parameters["save_freq"] if parameters["eval_freq"] is None else parameters["eval_freq"]
    return metric != "val/loss" or bool(parameters["val_split"] and interval)


def find_inputs(folder: Path) -> "Iterator[FoundInput]":
    """Yield the datasets that jobs in the folder could train on."""
    from robotrain_workloads.lerobot.local_datasets import find_dataset_inputs

    yield from (dataset_input for dataset_input, _ in find_dataset_inputs(folder))


def describe_data(
    job: "Job", source: "JobSource", files: "Path | RemoteFiles", reading: "DataReading"
) -> "DataReport | None":
    """Return the report on a dataset, whose tables are compared."""
    from robotrain_workloads.data_command.data_report import describe_dataset

    if job["bags"]:  # their tables are compared once the run has made a dataset of them
        return None
    return describe_dataset(job, source, files, reading)


PARAMETERS = {
    "policy_type": "act",
    "training_steps": None,
    "batch_size": None,
    "learning_rate": None,
    "save_freq": None,
    "val_split": None,
    "seed": None,
    "register_checkpoint": None,
}
"""What `robotrain init` shows of the parameters."""
EXAMPLES = {"pusht-mini": Path(__file__).parents[1] / "examples/pusht-mini"}

PROFILE = WorkloadProfile(
    container=Container(environment="lerobot-training-env"),
    outputs=OutputProfile(
        noun="training",
        evaluation="lerobot-eval --policy-run {run} {dataset} {backbone?}",
        not_evaluated_with="reward_model",
    ),
    metrics=(
        Metric(name="train/loss", kind="loss", label="training loss", brief="loss", better="lower"),
        Metric(name="val/loss", kind="validation", label="validation loss", brief="val", better="lower"),
        Metric(name="train/data_wait", label="time that waits for data", brief="data wait", share=True),
    ),
    experiment="lerobot-training",
)


def derive_profile(job: "Job") -> WorkloadProfile:
    """Return the profile of a job: no evaluation can replay the episodes of bags."""
    if not job["bags"]:
        return PROFILE
    evaluation = "lerobot-eval --policy-run {run} --env TASK {backbone?}"
    return replace(PROFILE, outputs=replace(PROFILE.outputs, evaluation=evaluation))


LEROBOT_TRAIN = Workload(
    name="lerobot-train",
    summary="train a policy or a reward model with LeRobot",
    example_lines=(
        "lerobot-train --dataset-path ./my-dataset --policy-type act --platform PLATFORM",
        "lerobot-train --policy-run RUN --dataset-path ./more-episodes --platform PLATFORM",
        "lerobot-train -d lerobot/pusht --platform PLATFORM -- --policy.n_action_steps=50",
    ),
    parameters=TrainParameters,
    roles={
        "dataset": Role(required=True, many=True, weights="mixture", training_only_with="bags"),
        "policy": Role(takes="checkpoints"),
        "init_policy": Role(),
        "resume": Role(),
        "backbone": Role(many=True),
    },
    container_plugin="robotrain_workloads.lerobot_train.container",
    data_packages=list_data_packages,
    data_environments=(BAGS_MODULE,),
    implies_sources=implies_sources,
    implied_sources=implied_sources,
    targets=("publish_url",),
    profile=PROFILE,
    derive_profile=derive_profile,
    managed_options=OWNED_OPTIONS,
    managed_with_roles={"--rename_map": ("policy", "init_policy", "resume")},
    derive_defaults=derive_defaults,
    describe_unset=describe_unset,
    program_options=lerobot_declarations.LEROBOT_OPTIONS._replace(chosen_by=("policy_type", "reward_model")),
    named_by=("policy_type", "reward_model"),
    template=JobTemplate(parameters=PARAMETERS, examples=EXAMPLES, find_inputs=find_inputs),
    preview=WorkPreview(
        {"steps": "training_steps", "batch": "batch_size"},
        lerobot_declarations.find_facts,
    ),
    check=check_job,
    logs_metric=logs_metric,
    describe_data=describe_data,
    load_locker=lazy_locker.load_locker,
    needs_lock=packages.needs_lock,
    follow_run=packages.follow_run,
    evaluated_with="evaluate_checkpoints",
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload of this module."""
    return (LEROBOT_TRAIN,)
