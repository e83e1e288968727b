"""`robotrain resubmit` and `robotrain resume`: run a job again, or continue from its last checkpoint."""

import itertools
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from robotrain.cli.arguments import (
    AFTER_DASHES_KEY,
    RunArgument,
    complete_platforms,
    find_run_to_change,
    open_run,
    option,
)
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.commands import pipeline
from robotrain.cli.commands.outputs import select_checkpoints
from robotrain.cli.commands.sending import Sending, SendingCommand, send_job
from robotrain.cli.output import print_message, print_platform
from robotrain.cli.watch.run_view import read_run_log
from robotrain.errors import Problem, Rejected, Suggestion, collect_problems, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import HUB_SCHEME, Job
from robotrain.model.reference import LOGIN_KEY
from robotrain.model.run import RunRecord, locate_output
from robotrain.pipelines.resume import repeat_pipeline
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact_if_secret
from robotrain.store import name_index, records
from robotrain.store.latest_run import CONTINUABLE, NEWEST_NAMES, RunNeed
from robotrain.submission import adopted_job
from robotrain.submission.checkpoint_runs import MAX_QUERIED, ends_by_itself, is_complete, may_be_continued
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.resubmit import (
    change_job,
    find_differences,
    move_plan,
    name_job,
    read_plan_to_repeat,
    remove_plan_pins,
    repeat_job,
)
from robotrain.submission.resume import REPLACED_ROLES, check_branch, find_last_checkpoint, parse_checkpoint, resume_job

make_problem = Messages(__file__)

RESUME_FROM_FLAG = "--resume-from"

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value, named as in a job file."),
]
RepinOption = Annotated[bool, typer.Option("--repin", help="Use the sources as they are now, not as the run had them.")]
ResumeFromOption = Annotated[
    str,
    option(RESUME_FROM_FLAG, "STEP|CHECKPOINT", "Continue from its checkpoint of this step, a folder or a blob URL."),
]
PlatformOption = Annotated[
    str, option("--platform", "NAME", "Submit it to this platform (default: that of the run).", complete_platforms)
]


def resubmit(
    ctx: typer.Context,
    run: RunArgument = "",
    set: SetOption = None,
    platform: PlatformOption = "",
    repin: RepinOption = False,
) -> None:
    """Submit the plan of a run again, as its next attempt; with --set, change values.

    robotrain resubmit latest --set batch_size=16 --dry-run

    robotrain resubmit latest -- --policy.n_action_steps=8

    robotrain resubmit latest -- --epochs 20

    Each option after -- replaces the same option of the run, or is added; its other options stay. What begins with a
    program of your own is a whole command.
    """
    trainer_args = ctx.meta.get(AFTER_DASHES_KEY) or []
    changes = {"--set": set, "--repin": repin, "--platform": platform, "--": trainer_args}
    if record := _find_pipeline(ctx, run, changes):
        print_platform(record.platform, f"run {record.run}")
        repeated_pipeline = repeat_pipeline(record, get_plugins(ctx))  # all of its steps run again
        return send_job(ctx, repeated_pipeline, Sending.read_options(ctx, no_pin=True))
    earlier_record, stored_plan, prepared = _prepare_again_from_record(ctx, run, set or [], repin, platform)
    if prepared.job.publishes_to_hub:
        _check_branch(ctx, earlier_record, stored_plan, prepared.job)
    unchanged = not any(changes.values()) and not earlier_record.is_adopted  # then sources that were not pinned stay so
    sending = Sending.read_options(ctx, job_folder=earlier_record.job_folder)
    sending = replace(sending, no_pin=sending.no_pin or unchanged)
    _send_again(ctx, stored_plan, prepared, sending, earlier_record.name)


def resume(
    ctx: typer.Context,
    run: RunArgument = "",
    training_steps: Annotated[
        str | None, typer.Option("--training-steps", "--steps", metavar="INT", help="Train up to this step in total.")
    ] = None,
    resume_from: ResumeFromOption = "",
    set: SetOption = None,
    repin: RepinOption = False,
) -> None:
    """Continue from a run's last complete checkpoint, or from another one, as a new run.

    robotrain resume latest --training-steps 20000

    robotrain resume latest --resume-from 10000

    Each option after -- replaces the same option of the run, or is added; its other options stay. What begins with a
    program of your own is a whole command.
    """
    changes = {"--set": set, "--repin": repin, RESUME_FROM_FLAG: resume_from, "--training-steps": training_steps}
    changes |= {"--": ctx.meta.get(AFTER_DASHES_KEY)}
    if run in NEWEST_NAMES:
        need = _make_resume_need(get_plugins(ctx), is_changed=any(changes.values()))
        run = find_run_to_change(ctx, run, need=need)
    if record := _find_pipeline(ctx, run, changes):
        return pipeline.resume_pipeline(ctx, record, Sending.read_options(ctx, no_pin=True))
    steps = [f"training_steps={training_steps}"] if training_steps is not None else []
    sets = [*(set or []), *steps]
    earlier_record, stored_plan, prepared = _prepare_again_from_record(
        ctx, run, sets, repin, replaced_roles=REPLACED_ROLES
    )
    if resume_from.isdecimal():
        earlier_record, earlier_platform = open_run(ctx, earlier_record.run)
        checkpoints = select_checkpoints(
            earlier_record, earlier_platform, resume_from, RESUME_FROM_FLAG, takes_last=False
        )
        checkpoint: Any = locate_output(checkpoints[-1], earlier_record.reference.get(LOGIN_KEY, ""))
    elif resume_from:
        checkpoint = parse_checkpoint(resume_from, RESUME_FROM_FLAG, get_plugins(ctx))
    else:
        earlier_record, _ = open_run(ctx, earlier_record.run)
        checkpoint = find_last_checkpoint(earlier_record, stored_plan, prepared, get_plugins(ctx), print_message)
    if not any(assignment.startswith("training_steps=") for assignment in sets):
        _require_steps_left(prepared.job, checkpoint.step, run or earlier_record.run)
    problems = list[Problem]()
    if not any(changes.values()):
        problems += _find_complete(ctx, earlier_record, prepared.job, checkpoint.step, run)
    with collect_problems(problems):
        resumed = resume_job(prepared, stored_plan, checkpoint, get_plugins(ctx))
    raise_if_any(problems)
    step = f"step {checkpoint.step} of {stored_plan.plan.run}, " if checkpoint.step is not None else ""
    print_message(f"resuming from {step}{redact_if_secret(checkpoint.uri)}")
    sending = Sending.read_options(ctx, job_folder=earlier_record.job_folder)
    _send_again(ctx, stored_plan, resumed, sending, earlier_record.name)


def _require_steps_left(job: Job, finished_steps: int | None, typed_run: str) -> None:
    """Raise Rejected if the checkpoint has reached the steps of the job, which nobody changed.

    :param typed_run: the run, as it was typed.
    """
    steps = dict(job.parameters).get("training_steps")
    if finished_steps is not None and isinstance(steps, int) and finished_steps >= steps:
        raise Rejected(
            [make_problem("steps-reached", run=typed_run, typed=typed_run, steps=steps, done=finished_steps)]
        )


def _find_complete(
    ctx: typer.Context, record: RunRecord, job: Job, finished_steps: int | None, typed_run: str
) -> Iterator[Problem]:
    """Yield the problem of a program of the user's own that has succeeded, where nothing is to differ."""
    plugins = get_plugins(ctx)
    if plugins.workload(job.workload).own_command is None or not is_complete(record, plugins):
        return
    line = f"robotrain resume {shlex.quote(typed_run)}"
    ways = [Suggestion(f"{line} --set KEY=VALUE")]
    if finished_steps is not None:
        text = f"{line} {RESUME_FROM_FLAG} {finished_steps}"
        ways.append(Suggestion(text, "starts the program with it, which may train on by itself"))
    yield make_problem("run-complete", *ways, run=record.run, typed=typed_run, done=finished_steps)


def _make_resume_need(plugins: Plugins, is_changed: bool) -> RunNeed:
    """Return what `latest` has to have: the platforms of the newest runs are asked whether they left a checkpoint.

    :param is_changed: whether the line says more than the run, so that one that has succeeded may go on.
    """
    queries = itertools.count()

    def is_met(record: RunRecord) -> bool:
        if not CONTINUABLE.is_met(record):
            return False
        if not is_changed and ends_by_itself(record, plugins) and is_complete(record, plugins):
            return False
        return bool(record.steps) or (next(queries) < MAX_QUERIED and may_be_continued(record, plugins))

    return CONTINUABLE._replace(is_met=is_met)


def _prepare_adopted_run(
    ctx: typer.Context,
    earlier_run: adopted_job.AdoptedRun,
    sets: list[str],
    repin: bool,
    platform_name: str,
    replaced_roles: Sequence[str] = (),
) -> PreparedJob:
    """Return the job of a run of another machine, to submit from this one. Raise Rejected."""
    plugins = get_plugins(ctx)
    platform = earlier_run.find_platform(platform_name, plugins)
    print_platform(platform.name, "--platform" if platform_name else f"run {earlier_run.stored.plan.run}")
    trainer_args = ctx.meta.get(AFTER_DASHES_KEY) or []
    return adopted_job.repeat_adopted_run(
        earlier_run, platform, sets, plugins, trainer_args, _list_own_flags(ctx), repin, replaced_roles
    )


def _list_own_flags(ctx: typer.Context) -> frozenset[str]:
    """Return the options of the command, which are none of the trainer."""
    spellings = (spelling for param in ctx.command.params for spelling in (*param.opts, *param.secondary_opts))
    return frozenset(spelling for spelling in spellings if spelling.startswith("-"))


def _check_branch(ctx: typer.Context, record: RunRecord, stored_plan: Any, job: Job) -> None:
    """Raise Rejected if the job publishes to a branch that has checkpoints of the run."""
    plugins = get_plugins(ctx)
    progress, _ = read_run_log(record, plugins.platform_of(record))
    if any(copy.to.startswith(HUB_SCHEME) for copy in progress.published):
        raise_if_any(check_branch(job, stored_plan, plugins, "resubmit"))


def _find_pipeline(ctx: typer.Context, run: str, changes: dict[str, Any]) -> RunRecord | None:
    """Return the record of a pipeline; None for any other run. Raise Rejected for options that it does not take."""
    record = records.read_record(find_run_to_change(ctx, run))
    if not record.steps:
        return None
    if flags := [flag for flag, value in changes.items() if value]:
        fixed_option = "options after --" if flags[0] == "--" else flags[0]
        raise Rejected([make_problem("plan-fixed.pipeline", where=flags[0], what=fixed_option)])
    return record


def _prepare_again_from_record(
    ctx: typer.Context, run: str, sets: list[str], repin: bool, platform: str = "", replaced_roles: Sequence[str] = ()
) -> tuple[RunRecord, Any, Any]:
    """Return a record, the plan of its run, and the prepared job to submit; raise Rejected when that is not possible.

    :param replaced_roles: the roles whose sources the command replaces.
    """
    record = records.read_record(name_index.find_run(run))
    plugins = get_plugins(ctx)
    if record.is_adopted:
        earlier_run = adopted_job.read_adopted_run(record, plugins)
        return (
            record,
            earlier_run.stored,
            _prepare_adopted_run(ctx, earlier_run, sets, repin, platform, replaced_roles),
        )
    stored_plan = read_plan_to_repeat(record.run)
    base = remove_plan_pins(stored_plan) if repin else stored_plan
    is_moved = platform not in ("", stored_plan.plan.platform)
    print_platform(platform or stored_plan.plan.platform, "--platform" if platform else f"run {stored_plan.plan.run}")
    base = move_plan(base, plugins.platform(platform)) if is_moved else base
    trainer_args = ctx.meta.get(AFTER_DASHES_KEY) or []
    if sets or trainer_args or is_moved:
        prepared = change_job(base, sets, plugins, trainer_args, _list_own_flags(ctx))
    else:
        prepared = repeat_job(base, plugins, repin)
    return record, stored_plan, prepared


def _send_again(ctx: typer.Context, stored_plan: Any, prepared: PreparedJob, sending: Sending, name: str) -> None:
    """Print what differs from the stored plan, and submit the job.

    :param name: that of the run before, which the new one gets without an own one.
    """
    run = stored_plan.plan.run
    prepared = name_job(prepared, stored_plan, sending.name)
    differences = list(find_differences(stored_plan, prepared))
    repeated_form = "plan" if stored_plan.payload.archive else "job"
    print_message(f"same as {run}, with these changes:" if differences else f"same {repeated_form} as {run}")
    for difference in differences:
        print_message(f"  {difference.name}: {' → '.join(difference.cells)}")
    send_job(ctx, prepared, replace(sending, name=sending.name or name, parent=run))


app = make_app(resubmit, resume, cls=SendingCommand)
