"""What every command that sends a job does: check and show it, upload its assets, or submit it and follow its run."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, NamedTuple, cast

import typer
from robotrain_runtime.contract.parameter import get_parameters

from robotrain import notifications
from robotrain.check import capability_checks
from robotrain.cli.arguments import SENDING, confirm_problem
from robotrain.cli.command_factory import TrainerArgsCommand, get_plugins
from robotrain.cli.commands import render, watch
from robotrain.cli.options import Option
from robotrain.cli.output import (
    format_table,
    print_json,
    print_message,
    print_message_line,
    print_other_views,
    print_problems,
    print_result,
    print_text,
    say_if_slow,
)
from robotrain.cli.watch import run_view
from robotrain.cli.watch.dashboard import choose_printer
from robotrain.cli.watch.follower import RunFollower
from robotrain.cli.watch.printer import LogPrinter
from robotrain.errors import Problem, Rejected, Stage, raise_if_any, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform, has_own_method
from robotrain.model.platform_features import Uploads
from robotrain.model.preview import JobFacts, RunPlace
from robotrain.model.workload import Workload
from robotrain.plugins import site
from robotrain.plugins.manager import Plugins
from robotrain.store import name_index
from robotrain.submission import existing_run, program_lock, submitter
from robotrain.submission.checker import CheckOptions
from robotrain.submission.dry_run import dry_run_job, dry_run_plan
from robotrain.submission.prepare import InputStep, PreparedJob
from robotrain.submission.preview import PreviewRow, list_hidden_differences, list_preview_rows
from robotrain.submission.run_labels import make_labels
from robotrain.submission.run_notice import tell_by_run
from robotrain.submission.run_sender import Submission

make_problem = Messages(__file__)

SENDING_KEY = "robotrain.sending"
ASKING = "waiting for what the services say that the job needs"
DATA = "data"
"""What was read of the data of a job, in JSON."""


class SendingOptions:
    """The part of a command that has the options of sending a job, which it finds under SENDING_KEY."""

    left_out: tuple[str, ...] = ()
    """Those that it has not."""
    params: list[Any]

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        options = [
            Option(flag[2:].replace("-", "_"), (flag,), help, metavar)
            for flag, (help, metavar) in SENDING.items()
            if flag not in self.left_out
        ]
        self.names = [option.name for option in options]
        self.params += [option.make_parameter() for option in options]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments."""
        remaining_args = cast("list[str]", cast("Any", super()).parse_args(ctx, args))
        ctx.meta[SENDING_KEY] = {name: ctx.params.pop(name) for name in self.names}
        return remaining_args


class SendingCommand(SendingOptions, TrainerArgsCommand):
    """A command that sends a job and takes words after `--`."""


@dataclass(frozen=True)
class Sending:
    """How a job is sent: the options that commands share."""

    wait: bool = False
    stream: bool = False
    """Whether its log is shown until it ends."""
    dry_run: bool = False
    assets_only: bool = False
    new: bool = False
    no_pin: bool = False
    yes: bool = False
    notify: bool = False
    json: bool = False
    name: str = ""
    note: str = ""
    checker: str | None = None
    """None where the command has no `--checker`."""
    timeout: str = ""
    poll_seconds: float | None = None
    parent: str = ""
    """The run that it repeats or continues."""
    job_folder: str = ""
    """Where the job file of that run is."""

    @classmethod
    def read_options(cls, ctx: typer.Context, **changes: Any) -> "Sending":
        """Return what the options of a SendingCommand say, and what the command itself decides."""
        return cls.read(ctx.meta[SENDING_KEY], **changes)

    @classmethod
    def read(cls, values: Mapping[str, Any], **changes: Any) -> "Sending":
        """Return what the options of a command say, by their names, and what the command itself decides."""
        given = {field.name: values[field.name] for field in fields(cls) if values.get(field.name) is not None}
        return cls(**{**({"checker": ""} if "checker" in values else {}), **given, **changes})

    @property
    def announce(self) -> Callable[[str], None]:
        """What prints the name of a run: stdout is that of a script, or has JSON."""
        return print_message if self.json else print_result

    @property
    def sends_nothing(self) -> bool:
        """Whether the job is only checked, or its assets are uploaded."""
        return self.dry_run or self.assets_only

    @property
    def follows(self) -> bool:
        """Whether the command waits for the end of what it submits."""
        return self.wait or self.stream

    def check(self, platform: Platform) -> None:
        """Raise Rejected for switches that contradict each other, and for assets that cannot be made."""
        dry = ["--dry-run"] * self.dry_run + ["--assets-only"] * self.assets_only
        others = [*dry[1:], *["--wait"] * self.wait, *["--stream"] * self.stream]
        if dry and others:
            way = suggest_leaving_out(*others)
            raise Rejected([make_problem("options-conflict.no-run", way, where=dry[0], others=" and ".join(others))])
        if self.assets_only and not has_own_method(platform.engine, Uploads, "prepare"):
            raise Rejected([make_problem("feature-not-there.no-uploads", name=platform.name)])

    def open_webhook(self, message: str = "option-without-effect.notify-steps") -> str:
        """Return the webhook that this command tells; empty for none. Raise Rejected with `message` if it cannot."""
        if not self.notify:
            return ""
        if not self.follows:
            raise Rejected([make_problem(message)])
        return notifications.open_webhook()


def send_job(ctx: typer.Context, prepared: PreparedJob, sending: Sending) -> None:
    """Submit a prepared job, or do what its options ask for instead."""
    sending.check(prepared.platform)
    labels = make_labels(sending.name, sending.note)._replace(parent=sending.parent, job_folder=sending.job_folder)
    print_problems(prepared.warnings)
    plugins, pinning, webhook = get_plugins(ctx), not sending.no_pin, ""
    is_alone = type(prepared) is PreparedJob  # no pipeline or sweep
    if sending.follows or not is_alone:
        webhook = sending.open_webhook()
    if sending.notify and is_alone:
        prepared = tell_by_run(prepared, not sending.follows, plugins)
    checks = CheckOptions(
        checker=sending.checker or "",
        say=print_message,
        has_flag=sending.checker is not None,
        confirm=partial(confirm_problem, yes=sending.yes or sending.dry_run),
    )
    if sending.sends_nothing:
        with wait_for_services():
            checked = dry_run_job(prepared, plugins, is_new=sending.new, pinning=pinning, labels=labels, checks=checks)
        assert checked.plan is not None  # a dry run joins no run
        preview = preview_steps(checked.plan, checked.inputs.facts)
        data = [report.content for report in checked.inputs.data]
        return _show_dry_run(ctx, checked.plan, prepared.platform, sending, checked.problems, preview, data)
    if own_defaults := list_hidden_differences(prepared.values, ()):
        print_message(f"robotrain's own defaults: {own_defaults}")
    with wait_for_services():
        submission = submitter.submit_job(
            prepared,
            print_problems,
            sending.announce,
            plugins,
            new=sending.new,
            pinning=pinning,
            labels=labels,
            checks=checks,
        )
    finish_submission(ctx, submission, sending, webhook)


def send_plan(ctx: typer.Context, rendered: RenderedPlan, sending: Sending) -> None:
    """Submit a plan that was rendered before, byte for byte."""
    plugins = get_plugins(ctx)
    platform = plugins.platform_of_plan(rendered)
    sending.check(platform)
    webhook = sending.open_webhook("option-without-effect.notify-plan")
    labels = make_labels(sending.name, sending.note)
    problems = list(capability_checks.recheck_plan(rendered.plan, platform, plugins))
    problems += site.find_site_problems(plugins, rendered.plan.job, platform.name)
    raise_if_any(problems)
    print_problems(problems)
    if sending.sends_nothing:
        with wait_for_services():
            problems = dry_run_plan(rendered, platform, plugins)
        return _show_dry_run(ctx, rendered, platform, sending, problems)
    confirm = partial(confirm_problem, yes=sending.yes)
    with wait_for_services():
        submission = submitter.submit_plan(
            rendered, platform, print_problems, sending.announce, plugins, labels=labels, confirm=confirm
        )
    finish_submission(ctx, submission, sending, webhook)


def _show_dry_run(
    ctx: typer.Context,
    rendered: RenderedPlan,
    platform: Platform,
    sending: Sending,
    problems: Iterable[Problem],
    preview: "Sequence[PreviewedStep]" = (),
    data: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Print what a submit would do; with --assets-only, upload what the plan needs. Raise Rejected if that fails."""
    print_problems(problems)
    if sending.assets_only:
        assets = []
        for asset_line in platform.get_engine_for(Uploads).prepare(rendered.plan):
            assets.append(asset_line)
            sending.announce(asset_line)
        if sending.json:
            print_json({"platform": platform.name, "assets": assets})
        return print_message(f"{rendered.plan.run} was not submitted")
    preview = preview or preview_plan(rendered, platform, get_plugins(ctx))
    print_message(f"dry run: {rendered.plan.run} is valid; nothing was sent")
    if sending.json:
        locked = program_lock.describe_lock(rendered.values)
        body = {**render.dump_plan(rendered.plan), **({program_lock.LOCK_ROW: locked} if locked else {})}
        return print_json({**body, "preview": dump_preview(preview), DATA: data})
    print_text(format_preview(rendered, preview))
    if ctx.info_name == "submit" and not ctx.params.get("plan"):
        print_other_views("submit")


MARK, LEGEND = "*", "not the trainer's own default"


class PreviewedStep(NamedTuple):
    """The rows of a step of a pipeline, or of the only job."""

    name: str
    """The step; empty outside a pipeline."""
    rows: Sequence[PreviewRow]
    hidden: str = ""
    """The defaults that are robotrain's own and that no row shows."""


def preview_steps(rendered_plan: RenderedPlan, step_facts: Iterable[tuple[InputStep, JobFacts]]) -> list[PreviewedStep]:
    """Return the rows of each job whose inputs were compared."""
    steps = []
    for step, facts in step_facts:
        job = step.job
        if job.workload:
            # the folder of a step has a name that is not known yet
            place = job.describe_run()._replace(folder="") if step.name else job.describe_run(rendered_plan.plan.run)
            steps.append(_preview_job(step.name, job.job, job.values, job.workload, job.platform, place, facts))
    return steps


def preview_plan(rendered_plan: RenderedPlan, platform: Platform, plugins: Plugins) -> list[PreviewedStep]:
    """Return the rows of a plan whose sources are not read, as it was rendered before; none of a pipeline."""
    if rendered_plan.steps:
        return []
    plan = rendered_plan.plan
    setting_names = {parameter.name for parameter in get_parameters(platform.settings)}
    settings = platform.settings(
        **{name: value for name, value in rendered_plan.settings.items() if name in setting_names}
    )
    run_place = platform.plans.describe_run(plan.job, settings, plan.run)
    workload = plugins.workload(plan.job.workload)
    return [_preview_job("", plan.job, rendered_plan.values, workload, platform, run_place, JobFacts())]


def _preview_job(
    name: str,
    job: Job,
    value_rows: Sequence[Mapping[str, Any]],
    workload: Workload,
    platform: Platform,
    run_place: RunPlace,
    facts: JobFacts,
) -> PreviewedStep:
    rows = [*list_preview_rows(job, workload, platform, run_place, facts, value_rows)]
    return PreviewedStep(name, rows, list_hidden_differences(value_rows, workload.preview.rows.values()))


def dump_preview(preview: Iterable[PreviewedStep]) -> list[Mapping[str, str]]:
    """Return the rows as data."""
    return [{"step": step.name, **row._asdict()} for step in preview for row in step.rows]


def format_preview(rendered: RenderedPlan, preview: Sequence[PreviewedStep]) -> str:
    """Return the rows as a table, one below the other for each step, with a legend for what is marked."""
    noun = "trial" if rendered.plan.job.profile.outputs.is_sweep else "step"
    table = [("run", rendered.plan.run)]
    table += [(f"{noun}s", ", ".join(rendered.steps))] if rendered.steps else []
    for step in preview:
        table += [("", ""), (noun, step.name)] if step.name else []
        table += [(row.name, f"{row.value} {MARK} ({row.differs})" if row.differs else row.value) for row in step.rows]
    hidden_names = ", ".join(dict.fromkeys(step.hidden for step in preview if step.hidden))
    if hidden_names or any(row.differs for step in preview for row in step.rows):
        table.append((MARK, f"{LEGEND}{f'; others that are not: {hidden_names}' if hidden_names else ''}"))
    return format_table(table)


def finish_submission(ctx: typer.Context, submission: Submission, sending: Sending, webhook: str = "") -> None:
    """Print a submitted run and the next commands; follow it if requested."""
    record, is_new, data = submission
    plugins = get_plugins(ctx)
    platform = plugins.platform_of(record)  # an engine or a driver may run it
    if not is_new:
        sending.announce(record.run)
    if record.name:
        print_message(f"  named {record.name}")
    if is_new and (attempt := existing_run.describe_attempt(record)):
        print_message(f"  this is {attempt}")
    native = dict(run_view.list_native_names(record, platform))
    for name, value in native.items():
        print_message(f"  {name} {value}")
    print_problems(site.notify_run_changed(plugins, record) if is_new else ())
    if sending.follows:
        seconds = watch.parse_timeout(sending.timeout)
        write = print_message_line
        printer = LogPrinter(write) if sending.stream else choose_printer(sys.stderr, write, has_summary=True)
        follower = RunFollower(
            [(record, platform)],
            printer,
            plugins,
            just_sent=is_new,
            poll_seconds=sending.poll_seconds,
            webhook=webhook,
        )
        if not watch.follow(follower, printer, "wait", lambda: follower.wait_until_over(seconds)):
            print_problems([watch.make_timeout_problem(follower, sending.timeout)])
            raise typer.Exit(Stage.SUBMIT.exit_code)
        watch.print_end(follower.runs[0], sending.json, with_tail=not sending.stream)
    elif sending.json:
        identity = {name: getattr(record, name) for name in ("run", "platform", "job", "reference")}
        reports = [report.content for report in data]
        print_json(identity | {"shown": native, "notes": list(record.notes), "new": is_new, DATA: reports})
    else:
        name = name_index.find_unique_name(record.run)
        print_message(f"  robotrain status {name}    see its state\n  robotrain logs -f {name}   follow its log")


@contextlib.contextmanager
def wait_for_services() -> Iterator[None]:
    """Say after a while what is waited for, and treat SIGTERM like Ctrl-C: a checker ends with this process."""
    in_main = threading.current_thread() is threading.main_thread()
    has_default_handler = in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if has_default_handler:  # else the process handles it already
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with say_if_slow(ASKING):
            yield
    finally:
        if has_default_handler:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
