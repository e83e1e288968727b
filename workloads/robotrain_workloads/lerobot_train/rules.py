"""Rules of `lerobot-train` for a resolved job, on the submit side."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, make_usage_problem
from robotrain_runtime.contract.parameter import list_flags

from robotrain_workloads import publish_url
from robotrain_workloads import rules as shared_rules
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.rules import START_ROLES
from robotrain_workloads.lerobot_train import parameters

if TYPE_CHECKING:
    from robotrain.model.job import Job


def check_type(job: "Job") -> Iterator[Problem]:
    """Require a type that the job's LeRobot trains."""
    lerobot, kind = versions.get_version(job["lerobot_version"]), str(job["policy_type"])
    found = lerobot.policies.get(kind)
    if found and not found.refused:
        return
    having = [one.name for one in versions.list_versions() if kind in one.policies]
    yield make_usage_problem(
        "type-not-trainable",
        f"LeRobot {lerobot.name} {'cannot train' if found else 'has no policy type'} {kind}",
        where="--policy-type",
        given=kind,
        why=f"{found.refused[0].upper()}{found.refused[1:]}." if found else "",
        suggestions=() if found else [Suggestion(f"--lerobot-version {name}") for name in having],
    )


def check_options(job: "Job") -> Iterator[Problem]:
    """Check options after `--` as the locked LeRobot would on the machine of the job."""
    if not job.trainer_args:
        return
    from robotrain_workloads.lerobot_options import option_tree, policy_rules

    starts = any(source.role in START_ROLES for source in job.sources)
    chosen = {} if starts else {"policy": str(job["policy_type"])}
    reported_elsewhere = {**dict.fromkeys(list_flags(parameters.TrainParameters), ""), **parameters.OWNED_OPTIONS}
    found = option_tree.find_option_problems(job.trainer_args, chosen, reported_elsewhere, job["lerobot_version"])
    yield from shared_rules.make_option_problems(found)
    broken = policy_rules.find_rule_problems(job.trainer_args, str(job["policy_type"]), has_defaults=not starts)
    yield from shared_rules.make_option_problems(broken)


def check_keep(job: "Job") -> Iterator[Problem]:
    """Require --publish-url with --keep."""
    if job["keep"] is not None and job["publish_url"] is None:
        yield make_usage_problem(
            "keep-without-publish-url",
            "--keep has no effect without --publish-url",
            where="--keep",
            given=str(job["keep"]),
            why="The run's own folder keeps every checkpoint.",
            suggestions=(
                Suggestion(f"{publish_url.PUBLISH_URL_FLAG} FOLDER --keep {job['keep']}"),
                Suggestion("--save-freq STEPS", "saves fewer checkpoints"),
            ),
            absent=("publish_url",),
        )


def check_wandb_project(job: "Job") -> Iterator[Problem]:
    """Require an experiment name that is valid for a project at Weights & Biases."""
    if not job["wandb"]:
        return
    from robotrain_workloads.lerobot_train import tracking, wandb

    name = tracking.get_experiment_name(dict(job.parameters))
    if reason := wandb.find_project_problem(name):
        yield make_usage_problem(
            "wandb-project-invalid",
            "the experiment name is not a valid project name at Weights & Biases",
            where="--wandb",
            given=name,
            why=reason,
            suggestions=(Suggestion("--experiment-name NAME", "such as lerobot-act"),),
        )
