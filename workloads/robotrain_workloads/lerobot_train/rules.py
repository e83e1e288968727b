"""Rules of `lerobot-train` for a resolved job, on the submit side."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain.errors import Problem, Suggestion, make_usage_problem, suggest_choosing, suggest_leaving_out
from robotrain_runtime.contract.parameter import list_flags

from robotrain_workloads import publish_url
from robotrain_workloads import rules as shared_rules
from robotrain_workloads.lerobot import precision, versions
from robotrain_workloads.lerobot.lineage import find_start_source
from robotrain_workloads.lerobot.rules import START_ROLES
from robotrain_workloads.lerobot.trained_model import (
    LEARNING_RATES,
    TrainedModel,
    can_warm_up,
    choose_learning_rate,
    choose_model,
)
from robotrain_workloads.lerobot_train import parameters

WARM_UP = "--lr-warmup-steps"

if TYPE_CHECKING:
    from robotrain.model.job import Job

    from robotrain_workloads.option_kinds import OptionProblem


def derive_defaults(job: "Job") -> dict[str, tuple[Any, str]]:
    """Return the type that a job trains and its learning rate, as far as this machine knows them."""
    settings: Mapping[str, Any] = {}
    begin = find_start_source(job.sources)
    if begin is not None:
        if not Path(begin.uri).is_absolute():
            return {}
        from robotrain_workloads.lerobot import start  # costs start-up

        with suppress(OSError, ValueError):
            settings = start.load_start({begin: Path(begin.uri)}).settings
        given = job["reward_model"] or job["policy_type"]
        if not settings or given not in (None, settings.get("type")):  # reported when the start is compared
            return {}
    model = choose_model(dict(job.parameters), settings)
    origin = f"of {model.kind} in LeRobot {model.lerobot.name}"
    return {
        "learning_rate": (choose_learning_rate(model, settings), "" if model.kind in LEARNING_RATES else origin),
        model.parameter: (model.kind, f"of {begin.uri}" if begin else ""),
    }


def _find_model(job: "Job") -> TrainedModel | None:
    """Return what a job trains; None if only the machine of the job knows the type of what it starts from."""
    values = dict(job.parameters)
    if find_start_source(job.sources) and not (values["policy_type"] or values["reward_model"]):
        return None
    return choose_model(values, {})


def check_type(job: "Job") -> Iterator[Problem]:
    """Require a type that the job's LeRobot trains."""
    values = dict(job.parameters)
    if values["reward_model"] and values["policy_type"]:
        yield make_usage_problem(
            "several-types",
            "a job trains a policy or a reward model, and both are given",
            given=f"--policy-type {values['policy_type']} --reward-model {values['reward_model']}",
            suggestions=[
                suggest_choosing(f"--reward-model {values['reward_model']}", f"--policy-type {values['policy_type']}")
            ],
        )
    elif model := _find_model(job):
        is_known, refused = model.kind in model.lerobot.get_types(model.section), model.facts.refused
        if is_known and not refused:
            return
        having = [one.name for one in versions.list_versions() if model.kind in one.types]
        yield make_usage_problem(
            "type-not-trainable",
            f"LeRobot {model.lerobot.name} {'cannot train' if is_known else f'has no {model.noun}'} {model.kind}",
            where=model.flag,
            given=model.kind,
            why=f"{refused[0].upper()}{refused[1:]}." if refused else "",
            suggestions=() if is_known else [Suggestion(f"--lerobot-version {name}") for name in having],
        )


def check_rates(job: "Job") -> Iterator[Problem]:
    """Require that what is trained has the learning rate and the warm-up that the job gives, if its type is known."""
    if (model := _find_model(job)) is None:
        return
    for name, lacks, why, has_it in (
        ("learning_rate", "option for its learning rate", "fixes it in code", bool(model.rate_option)),
        ("lr_warmup_steps", "number of warm-up steps", "has a schedule of its own for it", can_warm_up(model)),
    ):
        if job[name] is not None and not has_it:
            yield make_usage_problem(
                "option-without-effect",
                f"the {model.noun} {model.kind} has no {lacks}",
                where=f"--{name.replace('_', '-')}",
                given=str(job[name]),
                why=f"LeRobot {model.lerobot.name} {why}.",
                suggestions=[suggest_leaving_out(f"--{name.replace('_', '-')}")],
            )


def check_precision(job: "Job") -> Iterator[Problem]:
    """Require a number format that what is trained takes, if its type is known."""
    if (model := _find_model(job)) is None:
        return
    for title, ways in precision.find_precision_problems(dict(job.parameters), job.trainer_args, model):
        yield make_usage_problem(
            "device-cannot",
            title,
            where="--mixed-precision",
            given=str(job["mixed_precision"]),
            suggestions=map(Suggestion, ways),
        )


def check_options(job: "Job") -> Iterator[Problem]:
    """Check options after `--` as the locked LeRobot would on the machine of the job."""
    if not job.trainer_args:
        return
    from robotrain_workloads.lerobot_options import option_rules, option_tree

    starts = any(source.role in START_ROLES for source in job.sources)
    model = choose_model(dict(job.parameters), {})
    chosen = {model.prefix: model.kind} if not starts or job["policy_type"] or job["reward_model"] else {}
    reported_elsewhere = {**dict.fromkeys(list_flags(parameters.TrainParameters), ""), **parameters.OWNED_OPTIONS}
    found = option_tree.find_option_problems(job.trainer_args, chosen, reported_elsewhere, job["lerobot_version"])
    yield from shared_rules.make_option_problems(found)
    if not any(source.role == "resume" for source in job.sources):
        flags = [WARM_UP] if job["lr_warmup_steps"] is not None else []
        owned = parameters.OWNED_OPTIONS
        missing = option_tree.find_missing_options(job.trainer_args, owned, flags, job["lerobot_version"])
        yield from shared_rules.make_option_problems(missing)
    if starts and not chosen:
        broken: Iterable[OptionProblem] = option_rules.find_common_problems(job.trainer_args, model.lerobot)
    else:
        settings = None if starts else dict[str, Any]()
        own = functools.partial(_list_own_options, job)
        loads = starts and not any(source.role == "resume" for source in job.sources)
        broken = option_rules.find_problems(
            job.trainer_args, model, settings, starts=starts, own=own, owned=reported_elsewhere, loads=loads
        )
    yield from shared_rules.make_option_problems(broken)


def _list_own_options(job: "Job") -> dict[str, object]:
    """Return the options that robotrain gives LeRobot beside those after `--`, if it starts from nothing."""
    from robotrain_workloads.lerobot_options import effective_options
    from robotrain_workloads.lerobot_train import container

    own, _ = effective_options.list_job_options(job, None, container)
    return own


def check_rename(job: "Job") -> Iterator[Problem]:
    """Require a policy to start from with --rename: all else reads the dataset's features as they are."""
    if job["rename"] is not None and (job["reward_model"] or not find_start_source(job.sources)):
        yield make_usage_problem(
            "rename-without-start",
            "--rename has no effect without a policy to start from",
            where="--rename",
            given=str(job["rename"]),
            why="New policies and reward models read the features of the dataset by their own names.",
            suggestions=(
                suggest_leaving_out("--rename"),
                Suggestion("--policy-repo-id OWNER/NAME"),
                Suggestion("--policy-path FOLDER"),
            ),
        )


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
                suggest_leaving_out("--keep"),
                Suggestion(f"{publish_url.PUBLISH_URL_FLAG} FOLDER"),
                Suggestion("--save-freq STEPS", "saves fewer checkpoints", "--keep"),
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
