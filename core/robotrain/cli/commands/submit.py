"""`robotrain submit`: check, render and submit a job or a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.arguments import AFTER_DASHES_KEY, CHECKER, CHECKER_HELP
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.job_command import JobCommand, make_job_command
from robotrain.cli.options import ORDER_KEY, ComposedOptions
from robotrain.cli.output import print_message, print_platform
from robotrain.config.selection import Choice
from robotrain.errors import Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.pipelines.prepare import PreparedPipeline
    from robotrain.submission.prepare import PreparedJob

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


class SubmitCommand(JobCommand):
    """The command that submits a job or a plan."""

    purpose = "submit"
    can_evaluate = True
    shows_jobs_of_workload = True

    def add_own_options(self, options: ComposedOptions) -> None:
        """Add the switches and `--plan`."""
        self.add_sending(options)
        assets = "upload what the run needs (its environment, local folders), but do not submit"
        options.add_own("--assets-only", help=assets)
        options.add_own(CHECKER, help=CHECKER_HELP, metavar="PYTHON|build|none")
        plan = "submit the plan that `render --to` wrote to this folder, instead of a job"
        options.add_own("--plan", help=plan, metavar="FOLDER")

    def execute(self, ctx: typer.Context, choice: Choice, values: dict[str, Any]) -> None:
        """Submit a plan unchanged; prepare anything else first."""
        if values.get("plan") is None:
            return super().execute(ctx, choice, values)
        from robotrain.cli import usage
        from robotrain.cli.commands import sending
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
        sending.send_plan(ctx, rendered_plan, sending.Sending.read(values))

    def run_prepared(self, ctx: typer.Context, prepared: PreparedJob, values: dict[str, Any]) -> None:
        """Submit the job, and follow it if requested."""
        from robotrain.cli.commands import sending  # costs start-up of help

        sending.send_job(ctx, prepared, sending.Sending.read(values))

    def run_pipeline(self, ctx: typer.Context, prepared: PreparedPipeline, values: dict[str, Any]) -> None:
        """Submit the pipeline of a job and its evaluation, and follow it if requested."""
        from robotrain.cli.commands import sending
        from robotrain.cli.pipeline_preview import pin_and_preview

        print_message("the checkpoints are evaluated in turn by one job: the step evaluate")
        ready = pin_and_preview(prepared, pinning=not values.get("no_pin"))
        sending.send_job(ctx, ready, sending.Sending.read(values, no_pin=True))


app = make_job_command("submit", SubmitCommand, HELP)
