"""Rules of `lerobot-train` for a resolved job, on the submit side."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain.errors import (
    Problem,
    Suggestion,
    select_errors,
    suggest_choosing,
    suggest_leaving_out,
)
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain_runtime.contract.parameter import get_parameters, list_flags
from robotrain_runtime.contract.problem import make_data_problem

from robotrain_workloads import bag_parameters, publish_url
from robotrain_workloads.lerobot import start, versions
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.lineage import find_start_source
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.trained_model import (
    LEARNING_RATES,
    WARM_UP_OPTION,
    can_warm_up,
    choose_learning_rate,
    make_model,
)
from robotrain_workloads.lerobot_train import parameters, trainer_options
from robotrain_workloads.lerobot_train.frames import frame_plan
from robotrain_workloads.lerobot_train.trainer_options import DECAY_STEPS
from robotrain_workloads.option_kinds import make_option_problem
from robotrain_workloads.packages import WITH_FLAG

OPTION_CHECK = "robotrain_workloads.lerobot_check.option_check"
SIMULATOR = "training runs no simulator; afterwards: robotrain submit lerobot-eval --policy-run RUN --env NAME"
OPTIMIZER_TYPE, SCHEDULER_TYPE, PRESET = "--optimizer.type", "--scheduler.type", "--use_policy_training_preset"
NEW_START_ROLES = ("policy", "init_policy")
WITH_WAY = Suggestion(f"{WITH_FLAG} PACKAGE", "a package that has it")

if TYPE_CHECKING:
    from robotrain.model.job import Job
    from robotrain_runtime.contract.container_plugin import WorkCommand

make_problem = Messages(__file__)


def derive_defaults(job: "Job") -> dict[str, tuple[Any, str]]:
    """Return the type that a job trains and its learning rate, as far as this machine knows them."""
    start_source = find_start_source(job.sources)
    resumed_choices = dict[str, Any]()
    if start_source is not None and not Path(start_source.uri).is_absolute():
        return {}
    lerobot_job = LerobotJob(job, {start_source: Path(start_source.uri)} if start_source else {})
    model, settings = lerobot_job.model, lerobot_job.start.settings
    if start_source is not None:
        with suppress(OSError, ValueError):
            resumed_choices = (
                start.read_resumed_choices(Path(start_source.uri)) if start_source.role == "resume" else {}
            )
        kind = job["reward_model"] or job["policy_type"]
        if not settings or kind not in (None, settings.get("type")):  # reported when the start is compared
            return {}
    origin_text = f"of {start_source.uri}" if start_source else f"of {model.kind} in LeRobot {model.lerobot.name}"
    defaults: dict[str, tuple[Any, str]] = {
        model.parameter: (model.kind, f"of {start_source.uri}" if start_source else "")
    }
    if OPTIMIZER_TYPE not in lerobot_job.options:  # an optimizer of the user's has its own
        is_own = start_source is None and model.kind in LEARNING_RATES
        defaults["learning_rate"] = (choose_learning_rate(model, settings), "" if is_own else origin_text)
    if job["eval_freq"] == 0:
        defaults["val_split"] = (0.0, "without a validation loss (--eval-freq 0)")
    return defaults | {name: (value, origin_text) for name, value in resumed_choices.items()}


def check_type(job: LerobotJob) -> Iterator[Problem]:
    """Require a type that the job's LeRobot trains."""
    job_parameters = job.parameters
    if job_parameters["reward_model"] and job_parameters["policy_type"]:
        yield make_problem(
            "options-conflict.two-types",
            suggest_choosing(
                f"--reward-model {job_parameters['reward_model']}", f"--policy-type {job_parameters['policy_type']}"
            ),
            given=f"--policy-type {job_parameters['policy_type']} --reward-model {job_parameters['reward_model']}",
        )
    elif model := job.known_model:
        is_known, refusal = model.is_known, model.facts.refused
        if (is_known and not refusal) or (
            job_parameters["packages"] and not is_known and not job_parameters["reward_model"]
        ):
            return
        having_versions = [version.name for version in versions.list_versions() if model.kind in version.types]
        yield make_problem(
            "type-not-trainable",
            *() if is_known else [*(Suggestion(f"--lerobot-version {name}") for name in having_versions), WITH_WAY],
            where=model.flag,
            given=model.kind,
            title=f"LeRobot {model.lerobot.name} {'cannot train' if is_known else f'has no {model.noun}'} {model.kind}",
            why=f"{refusal[0].upper()}{refusal[1:]}." if refusal else "",
        )


def check_rates(job: LerobotJob) -> Iterator[Problem]:
    """Require that what is trained has the learning rate and the warm-up that the job gives, if its type is known."""
    if (model := job.known_model) is None:
        return
    for name, has_no_rate, reason, has_rate in (
        ("learning_rate", "option for its learning rate", "fixes it in code", bool(model.rate_option)),
        ("lr_warmup_steps", "number of warm-up steps", "has a schedule of its own for it", can_warm_up(model)),
    ):
        if job.parameters[name] is not None and not has_rate:
            yield make_problem(
                "option-without-effect.type",
                suggest_leaving_out(f"--{name.replace('_', '-')}"),
                where=f"--{name.replace('_', '-')}",
                given=str(job.parameters[name]),
                noun=model.noun,
                kind=model.kind,
                lacks=has_no_rate,
                name=model.lerobot.name,
                why=reason,
            )


def check_precision(job: LerobotJob) -> Iterator[Problem]:
    """Require a number format that what is trained takes, if its type is known."""
    for title, ways in trainer_options.find_precision_problems(job):
        yield make_problem(
            "device-cannot", *map(Suggestion, ways), given=str(job.parameters["mixed_precision"]), title=title
        )


def check_options(job: LerobotJob) -> Iterator[Problem]:
    """Check options after `--` as the locked LeRobot would on the machine of the job, and whether they change it."""
    if not job.arguments:
        return
    refused_options = list(_find_refused_options(job))
    yield from refused_options
    if not select_errors(refused_options):
        yield from find_idle_options(job)


def _find_refused_options(job: LerobotJob) -> Iterator[Problem]:
    from robotrain_workloads.lerobot_options import option_names, option_rules

    model, starts, arguments = job.model, job.start_source is not None, job.arguments
    chosen_type = {model.prefix: model.kind} if job.known_model else {}
    reported_elsewhere = {**dict.fromkeys(list_flags(parameters.TrainParameters), ""), **parameters.OWNED_OPTIONS}
    version = job.parameters["lerobot_version"]
    if job.parameters["packages"] and not (chosen_type and model.is_known):
        arguments, unchecked_options = option_names.separate_unchecked(
            arguments, model.lerobot, is_known=not chosen_type
        )
        yield from option_names.warn_of_unchecked(unchecked_options)
        chosen_type = chosen_type if model.is_known else {}
    yield from option_names.check_names(arguments, chosen_type, reported_elsewhere, version, job.json_prefix)
    if starts and not chosen_type:  # its type's rules are looked at once its configuration is here
        model = make_model(model.lerobot, model.section, "")
    yield from option_rules.find_problems(
        arguments,
        model,
        None if starts else {},
        starts=starts,
        list_own=lambda: trainer_options.list_job_options(job.given, None)[0],
        owned=reported_elsewhere,
        loads=job.reads_json,
    )


def find_broken_rules(job: LerobotJob) -> Iterator[Problem]:
    """Yield each rule of LeRobot that options break beside the configuration that the training starts from."""
    from robotrain_workloads.lerobot_options import option_rules

    if job.start.mode == "scratch" or job.start.settings.get("type") != job.model.kind or not job.arguments:
        return

    def list_own() -> Mapping[str, object]:
        return dict(
            split_options(
                [
                    *trainer_options.make_owned_options(job, Path("dataset"), Path("outputs"), 0),
                    *trainer_options.make_default_options(job),
                ]
            )
        )

    loads = job.start.mode != "checkpoint"
    for problem in option_rules.find_problems(
        job.arguments, job.model, job.start.settings, starts=True, loads=loads, list_own=list_own
    ):
        if problem.severity == "error":
            yield make_data_problem(
                f"{problem.title}. {problem.why}", f"-- {problem.suggestions[0].text}" if problem.suggestions else ""
            )


def make_check_command(job: LerobotJob, work: Path, environ: Mapping[str, str]) -> "WorkCommand | None":
    """Return the command that asks LeRobot about the options of the training: the line that its container would make.

    None if its start is not here, or for a type that LeRobot does not have.
    """
    from robotrain_runtime.contract.container_plugin import WorkCommand  # costs start-up

    is_torn = job.start.mode == "checkpoint" and not (job.start.folder / start.TRAIN_CONFIG_FILE).is_file()
    if not job.is_start_known or is_torn or not job.model.is_known:  # a package has the type, which is not here
        return None
    options = (
        *trainer_options.make_options(job, job.root or work / "dataset", work / "unmade"),
        job.model.format_option("device", "cpu"),
        "--",
        *job.arguments,
    )
    kind = job.model.kind if job.model.section == versions.POLICIES else ""
    return WorkCommand(arguments=("-m", OPTION_CHECK, kind, *options), environ=environ)


def check_rename(job: LerobotJob) -> Iterator[Problem]:
    """Require a policy to start from with --rename: all else reads the dataset's features as they are."""
    if job.parameters["rename"] is not None and (job.parameters["reward_model"] or not job.start_source):
        yield make_problem(
            "option-without-effect.rename", suggest_leaving_out("--rename"), given=str(job.parameters["rename"])
        )


def check_adapter(job: LerobotJob) -> Iterator[Problem]:
    """Require a policy to start from with --lora-rank, one way to say it, and modules that LeRobot knows."""
    rank = job.parameters["lora_rank"]
    options = trainer_options.read_given(job)
    flag = trainer_options.RANK_FLAG
    if rank is None and not options:
        return
    repeated_names = [name for name in (trainer_options.METHOD, trainer_options.RANK) if name in options]
    repeated_options = [f"{trainer_options.PREFIX}{name}={options[name]}" for name in repeated_names]
    if rank is not None and repeated_options:
        yield make_problem(
            "options-conflict.said-twice",
            suggest_choosing(f"{flag} {rank}", f"-- {' '.join(repeated_options)}"),
            where=flag,
            given=str(rank),
            twice=" and ".join(repeated_options),
        )
    if rank is not None and job.parameters["reward_model"]:
        yield make_problem("option-without-effect.reward-model", suggest_leaving_out(flag), where=flag, given=str(rank))
    elif rank is not None and not job.start_source:
        yield make_problem("option-without-effect.no-start", suggest_leaving_out(flag), where=flag, given=str(rank))
    model = job.known_model if any(source.role in NEW_START_ROLES for source in job.sources) else None
    is_known = model is None or model.facts.adapter_modules or model.section == versions.REWARD_MODELS
    if model and not is_known and trainer_options.MODULES not in options:
        title, way = trainer_options.explain_unknown_modules(model)
        yield make_problem(
            "adapter-modules-unknown",
            where=flag if rank is not None else "--",
            given=str(rank or ""),
            title=title,
            way=way,
        )


DOUBTFUL_RATE = 0.1
"""From this learning rate on there is a warning."""


def check_decay(job: LerobotJob) -> Iterator[Problem]:
    """Note a learning rate that has decayed to its end long before the training ends: LeRobot only shortens schedules.

    LeRobot's `optim/schedulers.py` scales a cosine decay down to a shorter training; in a longer one its end holds on.
    """
    model, steps = job.model, job.parameters["training_steps"]
    flag = model.format_flag(DECAY_STEPS)
    decay = job.start.settings.get(DECAY_STEPS, model.defaults.get(DECAY_STEPS))
    is_chosen = {flag, SCHEDULER_TYPE, PRESET} & {*job.options}
    is_resumed = any(source.role == "resume" for source in job.sources)
    if is_chosen or is_resumed or not isinstance(decay, int) or not isinstance(steps, int) or steps <= decay:
        return
    yield make_problem(
        "decay-ends-early",
        Suggestion(f"-- {model.format_option(DECAY_STEPS, steps)}", "lets it decay until the end"),
        given=str(steps),
        decay=f"{decay:,}",
        steps=f"{steps:,}",
    )


def check_learning_rate(job: LerobotJob) -> Iterator[Problem]:
    """Warn of a learning rate at which a training usually diverges: LeRobot's own are 1e-5 to 3e-4."""
    rate = job.parameters["learning_rate"]
    if rate is not None and rate >= DOUBTFUL_RATE:
        yield make_problem("training-doubtful.learning-rate", given=f"{rate:g}")


def check_keep(job: LerobotJob) -> Iterator[Problem]:
    """Require --publish-url with --keep."""
    if job.parameters["keep"] is not None and job.parameters["publish_url"] is None:
        yield make_problem(
            "option-without-effect.keep",
            suggest_leaving_out("--keep"),
            Suggestion(f"{publish_url.PUBLISH_URL_FLAG} FOLDER"),
            Suggestion("--save-freq STEPS", "saves fewer checkpoints"),
            given=str(job.parameters["keep"]),
            absent=("publish_url",),
        )


def check_frame_cache(job: LerobotJob) -> Iterator[Problem]:
    """Require --frame-cache with --frame-cache-size."""
    size = job.parameters["frame_cache_size"]
    if size is not None and job.parameters["frame_cache"] == frame_plan.OFF:
        yield make_problem(
            "option-without-effect.frame-cache-size",
            Suggestion("--frame-cache auto", "keeps the frames if all fit"),
            Suggestion("--frame-cache on", "keeps as many as fit"),
            suggest_leaving_out("--frame-cache-size"),
            given=f"{size:g}",
        )


def check_early_stop(job: LerobotJob) -> Iterator[Problem]:
    """Require a validation loss for --stop-after-no-improvement."""
    job_parameters = job.parameters
    patience = job_parameters["stop_after_no_improvement"]
    if patience is None or (job_parameters["val_split"] and job_parameters["eval_freq"] != 0):
        return
    lacks_split = job_parameters["eval_freq"] != 0
    way = Suggestion("--val-split 0.1", "holds out episodes") if lacks_split else suggest_leaving_out("--eval-freq")
    yield make_problem(
        "option-without-effect.early-stop",
        way,
        suggest_leaving_out("--stop-after-no-improvement"),
        given=str(patience),
        absent=("val_split",) if lacks_split else ("eval_freq",),
    )


def check_scored_checkpoints(job: LerobotJob) -> Iterator[Problem]:
    """Require checkpoints of a policy, at the steps that are to be scored."""
    scored_steps, flag = job.parameters["evaluate_checkpoints"], "--evaluate-checkpoints"
    if scored_steps is None:
        return
    if job.parameters["reward_model"] is not None:
        yield make_problem(
            "checkpoints-not-scored.reward-model", suggest_leaving_out(flag), given=str(scored_steps), flag=flag
        )
    if not str(scored_steps).isdecimal():
        return
    scored_interval = int(scored_steps)
    saved_interval = int(job.parameters["save_freq"])
    if scored_interval % saved_interval:
        nearest_interval = max(round(scored_interval / saved_interval), 1) * saved_interval
        ways = (
            Suggestion(f"{flag} {nearest_interval}"),
            Suggestion(f"--save-freq {scored_interval}", "saves checkpoints at these steps"),
        )
        yield make_problem(
            "checkpoints-not-scored.not-saved",
            *ways,
            given=str(scored_steps),
            flag=flag,
            every=scored_interval,
            saved=saved_interval,
        )


def check_wandb_project(job: LerobotJob) -> Iterator[Problem]:
    """Require an experiment name that is valid for a project at Weights & Biases."""
    if not job.parameters["wandb"]:
        return
    from robotrain_workloads.lerobot_train import tracking, wandb

    name = tracking.get_experiment_name(job.parameters)
    if reason := wandb.find_project_problem(name):
        yield make_problem("value-invalid", given=name, why=reason)


def find_idle_options(job: LerobotJob) -> "Iterator[Problem]":
    """Yield a warning for options after `--` that LeRobot takes and that change nothing in a training."""

    def find_names(*groups: str) -> list[str]:
        return [name for name in job.options if name.lstrip("-").partition(".")[0] in groups]

    if simulation_options := find_names("env", "eval"):
        title = f"{', '.join(simulation_options)}: no effect on a training"
        flags = " ".join(simulation_options)
        way = f"leave out {' and '.join(simulation_options)}"
        yield make_option_problem(flags, title, f"{SIMULATOR[0].upper()}{SIMULATOR[1:]}.", way, "warning")
    preset_options = find_names("optimizer", "scheduler")
    is_replaced = job.parameters["lr_warmup_steps"] is not None and WARM_UP_OPTION not in job.model.options
    is_off = job.option_values.get(PRESET) is False or is_replaced
    is_resumed = any(source.role == "resume" for source in job.sources)  # with what the checkpoint has
    if preset_options and not is_off and not is_resumed:
        title = f"{', '.join(preset_options)}: no effect, since LeRobot uses the policy's preset"
        flags = " ".join(preset_options)
        type_options = [f"{option}=TYPE" for option in (OPTIMIZER_TYPE, SCHEDULER_TYPE) if option not in job.options]
        way = " ".join(["--", f"{PRESET}=false", *type_options])
        yield make_option_problem(
            flags, title, "A preset is the optimizer and the schedule of the policy's type.", way, "warning"
        )


def check_bags(job: LerobotJob) -> Iterator[Problem]:
    """Require --bags with the options of bags, and none of those of LeRobot datasets with it."""
    job_parameters = job.parameters
    if not job_parameters["bags"]:
        flags = {parameter.name: parameter.flag for parameter in get_parameters(parameters.TrainParameters)}
        for name, value in {**bag_parameters.list_given(job_parameters), "task": job_parameters["task"]}.items():
            if value is not None:
                flag = flags[name]
                value_text = "" if value is True else redact(str(value))
                yield make_problem(
                    "option-without-effect.no-bags",
                    *(suggest_leaving_out(flag), Suggestion("--bags", "if the dataset is of ROS 2 bags")),
                    where=flag,
                    given=value_text,
                )
        return
    if bag_parameters.is_action_the_state(job_parameters):
        yield make_problem(
            "bags-impossible.action-is-state",
            Suggestion("--action-topic none", bag_parameters.NEXT_STATE),
            Suggestion("--action-topic TOPIC"),
            given=redact(str(job_parameters["action_topic"])),
            reason=bag_parameters.ACTION_IS_STATE,
        )
    if job_parameters["convert_v21"]:
        yield make_problem("option-without-effect.bags-converted", suggest_leaving_out("--convert-v21"))
