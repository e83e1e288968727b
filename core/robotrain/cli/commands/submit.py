"""`robotrain submit`: check, render and submit a job or a plan."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.arguments import (
    AFTER_DASHES_KEY,
    AGREE_FLAG,
    AGREE_HELP,
    CHECKER,
    CHECKER_HELP,
    confirm_problem,
)
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.job_command import ORDER_KEY, JobCommand, make_job_command
from robotrain.cli.options import ComposedOptions
from robotrain.cli.output import (
    print_json,
    print_message,
    print_other_views,
    print_platform,
    print_problems,
    print_result,
    print_text,
    say_if_slow,
)
from robotrain.config.selection import Choice
from robotrain.errors import Problem, Rejected, raise_if_any, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.platform import has_own_method
from robotrain.model.platform_features import Uploads
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.cli.dry_run_preview import DryRun
    from robotrain.model.plan import RenderedPlan
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunRecord
    from robotrain.pipelines.prepare import PreparedPipeline
    from robotrain.submission.prepare import PreparedJob
    from robotrain.submission.run_sender import Submission

make_problem = Messages(__file__)

HELP = """Check a job, and start it on a platform.

  robotrain submit job.yaml --platform PLATFORM --wait

  robotrain submit --platform PLATFORM --dataset-path ./my-dataset

  robotrain submit train.py --platform PLATFORM -- --epochs 3\f

  robotrain submit job.yaml --platform PLATFORM -- --policy.n_action_steps=50

  robotrain submit --plan plan/          submits what `render … --to plan/` wrote

Everything after `--` is passed to the trainer unchanged; an option there replaces the same option of the job file. If a
submit, or waiting for its run, is interrupted, run the same command again: it finds the run, or submits it. A job that
has not ended is not submitted again without --new.
"""

SUBMIT_SWITCHES = {
    "--stream": "show the log until the run ends, then exit as --wait does",
    "--assets-only": "upload what the run needs (its environment, local folders), but do not submit",
    "--new": "start a new run even if the same job is running, or an interrupted submit of it exists",
    "--no-pin": "do not resolve branches and tags to commits now",
    AGREE_FLAG: AGREE_HELP,
    "--json": "print JSON",
}
NOTIFY_HELP = "have the run, or this machine with --wait, tell your webhook how it ended"
PLAN_OPTIONS = (
    "plan",
    "platform",
    "wait",
    "stream",
    "dry_run",
    "assets_only",
    "json",
    "name",
    "note",
    "notify",
    "yes",
)
"""Options that go with `--plan`; all others belong to a job."""
Announcer = Callable[[str], None]
"""Prints the name of a run before it is sent."""


class SubmitCommand(JobCommand):
    """The command that submits a job or a plan."""

    sends = True
    can_evaluate = True
    shows_jobs_of_workload = True

    def add_own_options(self, options: ComposedOptions) -> None:
        """Add the switches and `--plan`."""
        options.add_own("--wait", help="wait for the end; the exit code says how it ended", common=True)
        options.add_own("--dry-run", help="check the job, and show what it is; do not submit", common=True)
        options.add_own("--notify", help=NOTIFY_HELP)
        for flag, help in SUBMIT_SWITCHES.items():
            options.add_own(flag, help=help, common=flag == "--stream")
        self.add_labels(options)
        options.add_own(CHECKER, help=CHECKER_HELP, metavar="PYTHON|build|none")
        plan = "submit the plan that `render --to` wrote to this folder, instead of a job"
        options.add_own("--plan", help=plan, metavar="FOLDER")

    def execute(self, ctx: typer.Context, choice: Choice, values: dict[str, Any]) -> None:
        """Submit a plan unchanged; prepare anything else first."""
        if values.get("plan") is None:
            return super().execute(ctx, choice, values)
        from robotrain.cli import usage
        from robotrain.store import plans

        words = values.get("words") or []
        order = ctx.meta.get(ORDER_KEY, [])
        mistakes = [
            *usage.find_swallowed_flags(values, self.options),
            *usage.find_repeated_options(order, self.options),
            *usage.find_unknown_words(words, choice, self.options, get_plugins(ctx)),
        ]
        flags = {name: flag for flag, name in reversed(self.options.flags.items())}  # the first spelling of each
        extra_words = [flags[name] for name in dict.fromkeys(order) if name in flags and name not in PLAN_OPTIONS]
        extra_words += [*words, *(ctx.meta.get(AFTER_DASHES_KEY) or [])]
        if not values["plan"]:
            mistakes.append(make_problem("flag-without-value"))
        if extra_words and not mistakes:
            mistakes.append(make_problem("plan-fixed.unchanged", extra=redact(extra_words[0])))
        raise_if_any(mistakes)
        rendered_plan = plans.read_plan_folder(Path(values["plan"]))
        if rendered_plan.changed:
            changed_files = ", ".join(rendered_plan.changed)
            raise Rejected([make_problem("plan-fixed.edited", given=values["plan"], changed=changed_files)])
        print_platform(rendered_plan.plan.platform, f"plan {values['plan']}")
        if values.get("platform") not in (None, rendered_plan.plan.platform):
            raise Rejected([make_problem("plan-fixed.other-platform", platform=rendered_plan.plan.platform)])
        submit_plan(ctx, rendered_plan, values)

    def run_prepared(self, ctx: typer.Context, prepared: PreparedJob, values: dict[str, Any]) -> None:
        """Submit the job, and follow it if requested."""
        submit_job(ctx, prepared, values)

    def run_pipeline(self, ctx: typer.Context, prepared: PreparedPipeline, values: dict[str, Any]) -> None:
        """Submit the pipeline of a job and its evaluation, and follow it if requested."""
        from robotrain.cli.pipeline_preview import preview_pipeline
        from robotrain.pipelines.prepare import pin_pipeline

        print_message("the checkpoints are evaluated in turn by one job: the step evaluate")
        pinned, pin_problems = pin_pipeline(prepared, not values.get("no_pin"), print_message)
        ready = preview_pipeline(replace(pinned, warnings=prepared.warnings), pin_problems, native_only=False)
        submit_job(ctx, ready, {**values, "no_pin": True})


app = make_job_command("submit", SubmitCommand, HELP)


def submit_job(ctx: typer.Context, prepared: PreparedJob, options: dict[str, Any]) -> None:
    """Submit a prepared job, or do what the switches in `options` ask for instead."""
    from robotrain.cli import dry_run_preview
    from robotrain.cli.dry_run_preview import DryRun
    from robotrain.submission import submitter
    from robotrain.submission.checker import CheckOptions
    from robotrain.submission.dry_run import dry_run_job
    from robotrain.submission.preview import list_hidden_differences
    from robotrain.submission.run_labels import make_labels

    check_asset_options(prepared.platform, options)
    labels = make_labels(options.get("name") or "", options.get("note") or "")
    labels = labels._replace(parent=options.get("parent") or "", job_folder=options.get("job_folder") or "")
    print_problems(prepared.warnings)
    plugins, is_new, pinning = get_plugins(ctx), bool(options.get("new")), not options.get("no_pin")
    prepared, options = _choose_teller(prepared, options, plugins)
    checker_option = options.get("checker") or ""
    has_flag = "checker" in options
    data_reports: list[Mapping[str, Any]] = []
    confirm = _make_confirm(options)
    checks = CheckOptions(checker=checker_option, say=print_message, has_flag=has_flag, confirm=confirm)

    def dry_run() -> DryRun:
        checked = dry_run_job(prepared, plugins, is_new=is_new, pinning=pinning, labels=labels, checks=checks)
        print_problems(checked.problems)
        data_reports.extend(report.content for report in checked.inputs.data)
        assert checked.plan is not None  # a dry run joins no run
        preview = dry_run_preview.preview_steps(checked.plan, checked.inputs.facts)
        return DryRun(checked.plan, preview or dry_run_preview.preview_plan(checked.plan, prepared.platform, plugins))

    def submit(announce: Announcer) -> Submission:
        if own_defaults := list_hidden_differences(prepared.values, ()):
            print_message(f"robotrain's own defaults: {own_defaults}")
        submission = submitter.submit_job(
            prepared, print_problems, announce, plugins, new=is_new, pinning=pinning, labels=labels, checks=checks
        )
        data_reports.extend(report.content for report in submission.data)
        return submission

    _submit_or_dry_run(ctx, prepared.platform, {**options, DATA: data_reports}, dry_run, submit)


def _make_confirm(options: Mapping[str, Any]) -> Callable[[Problem], bool]:
    """Return what asks the user about a problem that has a question: a dry run asks nothing."""
    return partial(confirm_problem, yes=bool(options.get("yes") or options.get("dry_run")))


def _choose_teller(
    prepared: PreparedJob, options: dict[str, Any], plugins: Plugins
) -> tuple[PreparedJob, dict[str, Any]]:
    """Return the job and the options so that one tells the webhook: who waits, or the run itself."""
    from robotrain.submission.prepare import PreparedJob

    if not options.get("notify"):
        return prepared, options
    from robotrain.submission.run_notice import tell_by_run

    is_alone, waits = type(prepared) is PreparedJob, waits_for_end(options)  # no pipeline or sweep
    if waits or not is_alone:
        options = open_waiting_webhook(options)
    return (tell_by_run(prepared, not waits, plugins) if is_alone else prepared), options


def waits_for_end(options: Mapping[str, Any]) -> bool:
    """Return whether this command waits for the end of what it submits."""
    return bool(options.get("wait") or options.get("stream"))


def open_waiting_webhook(options: dict[str, Any], is_plan: bool = False) -> dict[str, Any]:
    """Return the options with the webhook that this command tells. Raise Rejected if it does not wait.

    :param is_plan: whether it submits a plan that was rendered before, not a pipeline or sweep.
    """
    if not options.get("notify"):
        return options
    from robotrain.notifications import open_webhook

    if not waits_for_end(options):
        if is_plan:
            raise Rejected([make_problem("option-without-effect.notify-plan")])
        raise Rejected([make_problem("option-without-effect.notify-steps")])
    return {**options, "webhook": open_webhook()}


def submit_plan(ctx: typer.Context, rendered: RenderedPlan, options: dict[str, Any]) -> None:
    """Submit a plan that was rendered before, byte for byte."""
    from robotrain.check import capability_checks
    from robotrain.cli import dry_run_preview
    from robotrain.cli.dry_run_preview import DryRun
    from robotrain.plugins import site
    from robotrain.submission import submitter
    from robotrain.submission.dry_run import dry_run_plan
    from robotrain.submission.run_labels import make_labels

    plugins = get_plugins(ctx)
    platform = plugins.platform_of_plan(rendered)
    check_asset_options(platform, options)
    options = open_waiting_webhook(options, is_plan=True)
    labels = make_labels(options.get("name") or "", options.get("note") or "")
    problems = list(capability_checks.recheck_plan(rendered.plan, platform, plugins))
    problems += site.find_site_problems(plugins, rendered.plan.job, platform.name)
    raise_if_any(problems)
    print_problems(problems)

    def dry_run() -> DryRun:
        print_problems(dry_run_plan(rendered, platform, plugins))
        return DryRun(rendered, dry_run_preview.preview_plan(rendered, platform, plugins))

    def submit(announce: Announcer) -> Submission:
        return submitter.submit_plan(
            rendered, platform, *(print_problems, announce, plugins), labels=labels, confirm=_make_confirm(options)
        )

    _submit_or_dry_run(ctx, platform, options, dry_run, submit)


DATA = "data"
"""What was read of the data of a job, in JSON and among the options of its submit."""
ASKING = "waiting for what the services say that the job needs"


def _submit_or_dry_run(
    ctx: typer.Context,
    platform: Platform,
    options: dict[str, Any],
    dry_run: Callable[[], DryRun],
    submit: Callable[[Announcer], Submission],
) -> None:
    as_json = bool(options.get("json"))
    if options.get("dry_run"):
        from robotrain.cli import dry_run_preview

        with interrupt_on_sigterm(), say_if_slow(ASKING):  # a checker ends with this process
            rendered_plan, preview = dry_run()
        print_message(f"dry run: {rendered_plan.plan.run} is valid; nothing was sent")
        if as_json:
            from robotrain.cli.commands import render
            from robotrain.submission import program_lock

            locked = program_lock.describe_lock(rendered_plan.values)
            body = {**render.dump_plan(rendered_plan.plan), **({program_lock.LOCK_ROW: locked} if locked else {})}
            print_json({**body, "preview": dry_run_preview.dump_preview(preview), DATA: options.get(DATA, [])})
        else:
            print_text(dry_run_preview.format_preview(rendered_plan, preview))
            if ctx.info_name == "submit" and options.get("plan") is None:
                print_other_views("submit")
    elif options.get("assets_only"):
        prepare_assets(dry_run().rendered, platform, as_json)
    else:
        announce = print_message if as_json else print_result
        with interrupt_on_sigterm(), say_if_slow(ASKING):
            submission = submit(announce)
        if not submission.is_new:
            announce(submission.record.run)
            platform = get_plugins(ctx).platform_of(submission.record)  # an engine or a driver may run it
        finish_submission(ctx, submission.record, platform, options, submission.is_new)


def finish_submission(
    ctx: typer.Context, record: RunRecord, platform: Platform, options: dict[str, Any], is_new: bool = True
) -> None:
    """Print a submitted run and the next commands; follow it if requested.

    :param is_new: whether this command submitted it.
    """
    from robotrain.cli.watch import run_view
    from robotrain.plugins import site
    from robotrain.submission import existing_run

    run = record.run
    plugins = get_plugins(ctx)
    as_json = bool(options.get("json"))
    if record.name:
        print_message(f"  named {record.name}")
    if is_new and (attempt := existing_run.describe_attempt(record)):
        print_message(f"  this is {attempt}")
    native = dict(run_view.list_native_names(record, platform))
    for name, value in native.items():
        print_message(f"  {name} {value}")
    print_problems(site.notify_run_changed(plugins, record) if is_new else ())
    if waits_for_end(options):
        from robotrain.cli.commands.watch import follow_submitted

        stream = bool(options.get("stream"))
        timeout = options.get("timeout") or ""
        poll = options.get("poll_seconds")
        webhook = options.get("webhook") or ""
        follow_submitted(record, platform, plugins, as_json, stream, timeout, poll, is_new, webhook)
    elif as_json:
        identity = {name: getattr(record, name) for name in ("run", "platform", "job", "reference")}
        print_json(
            identity | {"shown": native, "notes": list(record.notes), "new": is_new, DATA: options.get(DATA, [])}
        )
    else:
        from robotrain.store import name_index

        name = name_index.find_unique_name(run)
        print_message(f"  robotrain status {name}    see its state\n  robotrain logs -f {name}   follow its log")


def check_asset_options(platform: Platform, options: dict[str, Any]) -> None:
    """Raise Rejected for switches that contradict each other, and for assets that cannot be made."""
    dry = [flag for name, flag in (("dry_run", "--dry-run"), ("assets_only", "--assets-only")) if options.get(name)]
    other_flags = ["--" + name.replace("_", "-") for name in ("wait", "stream") if options.get(name)]
    if dry and other_flags:
        problem = make_problem(
            "options-conflict.no-run", suggest_leaving_out(*other_flags), where=dry[0], others=" and ".join(other_flags)
        )
        raise Rejected([problem])
    if len(dry) > 1:
        raise Rejected([make_problem("options-conflict.dry-run", where=dry[0], other=dry[1])])
    if options.get("assets_only") and not has_own_method(platform.engine, Uploads, "prepare"):
        raise Rejected([make_problem("feature-not-there.no-uploads", name=platform.name)])


def prepare_assets(rendered_plan: RenderedPlan, platform: Platform, as_json: bool) -> None:
    """Upload what the plan needs without submitting it; raise Rejected when that fails."""
    assets = []
    for asset_line in _run_prepare(rendered_plan, platform):
        assets.append(asset_line)
        print_message(asset_line) if as_json else print_result(asset_line)
    if as_json:
        print_json({"platform": platform.name, "assets": assets})
    print_message(f"{rendered_plan.plan.run} was not submitted")


def _run_prepare(rendered_plan: RenderedPlan, platform: Platform) -> Iterator[str]:
    yield from platform.get_engine_for(Uploads).prepare(rendered_plan.plan)


@contextlib.contextmanager
def interrupt_on_sigterm() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, unless the process handles it already."""
    in_main = threading.current_thread() is threading.main_thread()
    has_default_handler = in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if has_default_handler:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if has_default_handler:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
