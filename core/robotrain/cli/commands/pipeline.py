"""`robotrain pipeline`: several jobs that depend on each other."""

import functools
import inspect
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from robotrain.cli import pipeline_preview
from robotrain.cli.arguments import (
    AFTER_DASHES_KEY,
    JsonOption,
    RunArgument,
    argument,
    complete_platforms,
    find_run_to_change,
    open_run,
    option,
)
from robotrain.cli.command_factory import OwnCommand, TrainerArgsCommand, get_plugins, make_plain_app
from robotrain.cli.commands.explain import print_pipeline_values
from robotrain.cli.commands.render import show_plan
from robotrain.cli.commands.sending import Sending, SendingCommand, SendingOptions, finish_submission, send_job
from robotrain.cli.commands.train_eval import HELP as TRAIN_EVAL_HELP
from robotrain.cli.commands.train_eval import TrainEvalCommand
from robotrain.cli.help_page import format_help
from robotrain.cli.job_command import CONTEXT_SETTINGS
from robotrain.cli.missing_plugins import load_named_plugin, make_platform_missing_problem
from robotrain.cli.output import (
    print_json,
    print_message,
    print_platform,
    print_problems,
)
from robotrain.config.selection import choose_without_job
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.run import RunRecord
from robotrain.pipelines.pipeline_file import RequestContext, request_from_file
from robotrain.pipelines.pipeline_schema import make_pipeline_schema
from robotrain.pipelines.prepare import PreparedPipeline, prepare_pipeline
from robotrain.pipelines.resume import continue_pipeline
from robotrain.submission.prepare import Purpose
from robotrain.submission.run_sender import Submission

make_problem = Messages(__file__)

FileArgument = Annotated[Path, argument("PIPELINE.yaml", "The pipeline file.")]
PlatformOption = Annotated[str, option("--platform", "NAME", "The platform to run on.", complete_platforms)]
ProfileOption = Annotated[str, option("--profile", "NAME", "The profile of robotrain.toml to use.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="STEP.KEY=VALUE", help="Change a value of a step, named as in a job file."),
]
NativeOption = Annotated[
    bool, typer.Option("--native-only", help="Refuse a platform that needs this machine to start the steps.")
]
ToOption = Annotated[str, option("--to", "DIR", "Write all files of the plan to this folder.")]


def render(
    ctx: typer.Context,
    file: FileArgument,
    platform: PlatformOption = "",
    profile: ProfileOption = "",
    set: SetOption = None,
    to: ToOption = "",
    json: JsonOption = False,
) -> None:
    """Render the plan of a pipeline. Nothing is sent.

    robotrain pipeline render pipeline.yaml --platform PLATFORM
    """
    prepared = prepare_file(ctx, file, platform, profile, set or [], purpose="render")
    print_problems([*prepared.warnings, *pipeline_preview.describe_driver(prepared)])
    show_plan(ctx, prepared.render(1), to, json)


def explain(
    ctx: typer.Context,
    file: FileArgument,
    platform: PlatformOption = "",
    profile: ProfileOption = "",
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show each value of each step, where it came from, and what it overrode.

    robotrain pipeline explain pipeline.yaml --platform PLATFORM
    """
    print_pipeline_values(prepare_file(ctx, file, platform, profile, set or []), json)


def submit(
    ctx: typer.Context,
    file: FileArgument,
    platform: PlatformOption = "",
    profile: ProfileOption = "",
    set: SetOption = None,
    native_only: NativeOption = False,
) -> None:
    """Check every step of a pipeline, then submit it; the steps run on without the terminal.

    robotrain pipeline submit pipeline.yaml --platform PLATFORM

    robotrain pipeline submit pipeline.yaml --platform PLATFORM --set train.training_steps=2000 --wait

    robotrain pipeline submit pipeline.yaml --platform PLATFORM -- --policy.n_action_steps=8

    Options after -- are for the program of the step that trains; each replaces the same option of its job file.
    """
    prepared = prepare_file(ctx, file, platform, profile, set or [], purpose="submit")
    sending = Sending.read_options(ctx)
    ready = pipeline_preview.pin_and_preview(prepared, pinning=not sending.no_pin, native_only=native_only)
    send_job(ctx, ready, replace(sending, no_pin=True))


class ResumeCommand(SendingOptions, OwnCommand):
    """The command that continues a pipeline, whose sources are pinned."""

    left_out = ("--no-pin",)


def resume(ctx: typer.Context, run: RunArgument = "") -> None:
    """Continue a pipeline: after a failure as a new run without the finished steps; after a restart of this machine as
    the same run.

    robotrain pipeline resume latest
    """
    record, _ = open_run(ctx, run, functools.partial(find_run_to_change, ctx))
    if not record.steps:
        raise Rejected([make_problem("usage.not-a-pipeline", run=record.run)])
    resume_pipeline(ctx, record, Sending.read_options(ctx, no_pin=True))


def resume_pipeline(ctx: typer.Context, record: RunRecord, sending: Sending) -> None:
    """Continue a pipeline in its own run, or in a new one without the finished steps."""
    plugins = get_plugins(ctx)
    print_platform(record.platform, f"run {record.run}")
    webhook = sending.open_webhook()
    repeated_pipeline = continue_pipeline(record, plugins, sending.dry_run)
    if repeated_pipeline is not None:
        print_message(f"not run again: {', '.join(repeated_pipeline.finished) or 'none of the steps'}")
        send_job(ctx, repeated_pipeline, sending)
    elif sending.dry_run:
        print_message(f"dry run: {record.run} would go on; nothing was started")
    else:
        print_message(f"{record.run} goes on")
        finish_submission(ctx, Submission(record), sending, webhook)


def schema(ctx: typer.Context, json: JsonOption = False) -> None:
    """Print the JSON Schema of pipeline.yaml, for completion and checks in editors.

    robotrain pipeline schema > pipeline.schema.json
    """
    plugins = get_plugins(ctx)
    workloads = plugins.workloads().values()
    platforms = plugins.platforms().values()
    print_json(make_pipeline_schema(workloads, platforms, plugins.source_kinds(), plugins.default_workload()))


def prepare_file(
    ctx: typer.Context,
    file: Path,
    platform: str,
    profile: str,
    sets: list[str],
    purpose: Purpose = "explain",
) -> PreparedPipeline:
    """Return the checked pipeline of a file. Raise Rejected with all problems."""
    choice = choose_without_job(platform, profile)
    plugins = get_plugins(ctx)
    if not choice.platform:
        problems = choice.project.problems if choice.project else ()
        raise Rejected([*problems, make_platform_missing_problem(plugins)])
    chosen_platform = load_named_plugin(plugins, "platform", choice.platform, choice.origins[1])
    if purpose == "submit":
        print_platform(choice.platform, str(choice.origins[1]))
    context = RequestContext(platform=chosen_platform, plugins=plugins, surroundings=choice.surroundings)
    trainer_args = ctx.meta.get(AFTER_DASHES_KEY) or []
    request = request_from_file(file, context, sets, trainer_args)
    return prepare_pipeline(request, chosen_platform, plugins, purpose=purpose)


HELP = """Submit several jobs that depend on each other, such as a training and the evaluation of its policy.

robotrain pipeline submit pipeline.yaml --platform PLATFORM
"""
group = make_plain_app()
CLASSES = {submit: SendingCommand, resume: ResumeCommand, render: TrainerArgsCommand, explain: TrainerArgsCommand}
for command in (submit, resume, render, explain, schema):
    cls = CLASSES.get(command, OwnCommand)
    group.command(cls=cls, help=format_help(inspect.getdoc(command) or ""))(command)
group.command("train-eval", cls=TrainEvalCommand, help=format_help(TRAIN_EVAL_HELP), context_settings=CONTEXT_SETTINGS)(
    lambda: None
)
app = make_plain_app()
app.add_typer(group, name="pipeline", help=format_help(HELP))
app.callback()(lambda: None)
