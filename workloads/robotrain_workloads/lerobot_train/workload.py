"""The workload `lerobot-train`: its declaration. Imports nothing heavy."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain.model.workload import Role, Workload
from robotrain.model.workload_profile import Container, Metric, OutputProfile, WorkloadProfile
from robotrain.plugins.hookspecs import hook

from robotrain_workloads import packages
from robotrain_workloads.lerobot import version_parameters
from robotrain_workloads.lerobot.parameters import ID_HINTS, IMAGE_HINT, TRAINING_HINTS
from robotrain_workloads.lerobot_train.parameters import OWNED_OPTIONS, TrainParameters

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.health import HealthCheck
    from robotrain.model.job import Job
    from robotrain.model.workload import FoundInput


OPTION_HINTS = {
    **ID_HINTS,
    **TRAINING_HINTS,
    **dict.fromkeys(("--project", "--wandb-project"), "use --experiment-name NAME"),
    "DEFAULT_LEROBOT_TRAIN_IMAGE": IMAGE_HINT,
}


def derive_defaults(job: "Job") -> dict[str, tuple[Any, str]]:
    """Return the type that a job trains, and its learning rate."""
    from robotrain_workloads.lerobot_train import rules

    return rules.derive_defaults(job)


def check_job(job: "Job") -> "Iterator[Problem]":
    """Check what does not depend on the platform."""
    from robotrain_workloads import rules as shared_rules
    from robotrain_workloads.lerobot import rules
    from robotrain_workloads.lerobot_train import rules as train_rules

    yield from train_rules.check_type(job)
    yield from train_rules.check_rates(job)
    yield from train_rules.check_precision(job)
    yield from train_rules.check_options(job)
    yield from rules.check_backbones(job)
    yield from rules.check_remote_code(job)
    yield from rules.check_device(job)
    yield from rules.check_single_start(job)
    yield from rules.check_steps_left(job)
    yield from shared_rules.check_publish_url(job)
    yield from shared_rules.check_builds(job)
    yield from train_rules.check_rename(job)
    yield from train_rules.check_adapter(job)
    yield from train_rules.check_keep(job)
    yield from train_rules.check_scored_checkpoints(job)
    yield from train_rules.check_wandb_project(job)


def implies_sources(job: "Job") -> bool:
    """Return whether the policy may read what nobody gave: repositories that it or its type names, and weights."""
    from robotrain_workloads.lerobot import image_weights, lineage
    from robotrain_workloads.lerobot.trained_model import choose_model

    has_start = lineage.find_start_source(job.sources) is not None
    model = choose_model(dict(job.parameters), {})
    return has_start or bool(model.facts.repositories) or image_weights.WEIGHTS_OPTION in model.options


def logs_metric(job: "Job", metric: str) -> bool:
    """Return whether a training reports a metric: no validation loss without held-out episodes or an interval."""
    values = dict(job.parameters)
    interval = values["save_freq"] if values["eval_freq"] is None else values["eval_freq"]
    return metric != "val/loss" or bool(values["val_split"] and interval)


LEROBOT_TRAIN = Workload(
    name="lerobot-train",
    summary="train a policy or a reward model with LeRobot",
    parameters=TrainParameters,
    roles={
        "dataset": Role(required=True, many=True),
        "policy": Role(takes="checkpoints"),
        "init_policy": Role(),
        "resume": Role(),
        "backbone": Role(many=True),
    },
    container_plugin="robotrain_workloads.lerobot_train.container",
    data_packages=version_parameters.list_data_packages,
    implies_sources=implies_sources,
    implied_by="robotrain_workloads.lerobot_train.implied_inputs",
    targets=("publish_url",),
    profile=WorkloadProfile(
        container=Container(environment="lerobot-training-env"),
        outputs=OutputProfile(
            noun="training",
            evaluation="lerobot-eval --policy-run {run} {dataset} {backbone?}",
            not_evaluated_with="reward_model",
        ),
        metrics=(
            Metric(name="train/loss", kind="loss", label="training loss", brief="loss", better="lower"),
            Metric(name="val/loss", kind="validation", label="validation loss", brief="val", better="lower"),
        ),
        experiment="lerobot-training",
    ),
    managed_options=OWNED_OPTIONS,
    managed_with_roles={"--rename_map": ("policy", "init_policy", "resume")},
    translator="from-lerobot",
    derive_defaults=derive_defaults,
    option_finder="robotrain_workloads.lerobot_options.option_finder",
    option_parameters=("policy_type", "reward_model"),
    option_hints=OPTION_HINTS,
    named_by=("policy_type", "reward_model"),
    template=__name__,
    default=True,
    check=check_job,
    logs_metric=logs_metric,
    pipeline_name="lerobot-pipeline",
    program_locker="robotrain_workloads.package_lock.package_locker",
    needs_lock=packages.needs_lock,
    follow_run=packages.follow_run,
    evaluated_with="evaluate_checkpoints",
    merge="lerobot-merge {policy} {backbone?}",
)

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


def find_inputs(folder: Path) -> "Iterator[FoundInput]":
    """Yield the datasets that jobs in the folder could train on."""
    from robotrain_workloads.lerobot.local_datasets import find_dataset_inputs

    yield from (found for found, _ in find_dataset_inputs(folder))


def find_copies(role: str, text: str) -> "Iterator[FoundInput]":
    """Yield the copies of a repository of the Hub that LeRobot's cache has, those recorded here first."""
    from robotrain_workloads.lerobot import local_datasets

    yield from local_datasets.find_copies(role, text)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload of this module."""
    return (LEROBOT_TRAIN,)


@hook
def robotrain_health() -> "Iterable[HealthCheck]":
    """Return the checks of `robotrain doctor`."""
    from robotrain_workloads import environment_health
    from robotrain_workloads.lerobot_train.container import ENVIRONMENT

    return (environment_health.make_health_check(LEROBOT_TRAIN.name, ENVIRONMENT),)
