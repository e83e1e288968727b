"""`robotrain submit`: the whole way of a job, to a run."""

from typing import Any

import typer

from robotrain.cli import sending
from robotrain.cli.app import plugins_of
from robotrain.cli.job.compose import AFTER_DASHES, ORDER, SETTINGS, switch, text_option
from robotrain.cli.job.job_command import JobCommand
from robotrain.cli.job.options import Options
from robotrain.cli.made import make_job_app
from robotrain.problem import Instead, Problem, Stage, raise_if_any

HELP = """Check a job, render its plan, and send it to a platform.

  robotrain submit examples/pusht-mini/job.yaml --platform PLATFORM --wait

  robotrain submit --platform PLATFORM --dataset-path ./my-dataset --training-steps 2000 --batch-size 8

  robotrain submit job.yaml --platform PLATFORM -- --policy.chunk_size=16

  robotrain submit --plan plan/          what `robotrain render … --to plan/` wrote, byte for byte

What stands after `--` goes to the trainer as it is. A submit that was cut off is found again by the same command.
"""

WITH_A_PLAN = ("plan", "platform", "wait", "stream", "dry_run", "assets_only", "save_spec", "json")
"""Options that go with `--plan`; all others are of a job."""
FOLDER = Instead("--plan FOLDER", "what `robotrain render … --to FOLDER` wrote")


class SubmitCommand(JobCommand):
    """Goes all the way."""

    def own_options(self, options: Options) -> None:
        """What happens beside sending."""
        for name, help in sending.SWITCHES.items():
            flag = "--" + name.replace("_", "-")
            options.add(switch(name, (flag,), help, "Options"), (flag,))
        plan = "send the plan that `render --to` wrote there, instead of a job"
        save = "once it is sent, write the spec of the run as the platform holds it"
        options.add(text_option("save_spec", ("--save-spec", "-a"), save, "Options", "FILE"), ("--save-spec", "-a"))
        options.add(text_option("plan", ("--plan",), plan, "Options", "FOLDER"), ("--plan",))

    def act(self, ctx: typer.Context, chosen: Any, given: dict[str, Any]) -> None:
        """A plan goes as it is; everything else is prepared first."""
        if given.get("plan") is not None:
            self._send_plan(ctx, chosen, given)
        else:
            super().act(ctx, chosen, given)

    def perform(self, ctx: typer.Context, prepared: Any, given: dict[str, Any]) -> None:
        """Send the job, and follow it when asked."""
        sending.send(ctx, prepared, given)

    def _send_plan(self, ctx: typer.Context, chosen: Any, given: dict[str, Any]) -> None:
        from pathlib import Path

        from robotrain import plan_folder
        from robotrain.cli.job import usage

        words, order = given.get("words") or [], ctx.meta.get(ORDER, [])
        mistakes = [
            *usage.swallowed(given, self.composed),
            *usage.repeated(order, self.composed),
            *usage.strange_words(words, chosen, self.composed, plugins_of(ctx)),
        ]
        flags = {name: flag for flag, name in reversed(self.composed.flags.items())}  # the first spelling of each
        said = [flags[name] for name in dict.fromkeys(order) if name in flags and name not in WITH_A_PLAN]
        said += [*words, *(ctx.meta.get(AFTER_DASHES) or [])]
        if not given["plan"]:
            mistakes.append(_problem("flag-without-value", "--plan needs a folder", "--plan", FOLDER))
        raise_if_any(mistakes or [_fixed(word) for word in said[:1]])
        rendered = plan_folder.read(Path(given["plan"]))
        if given.get("platform") not in (None, rendered.plan.platform):
            raise_if_any([_of_another_platform(rendered.plan.platform)])
        sending.send_plan(ctx, rendered, given)


def _fixed(said: str) -> Problem:
    from robotrain.redaction import redact

    title = f"a plan is sent as it is: {redact(said)} cannot change it any more"
    way = Instead("robotrain render … --to FOLDER", "renders one with other values")
    return _problem("plan-fixed", title, "--plan", way)


def _of_another_platform(platform: str) -> Problem:
    way = Instead(f"--platform {platform}", "or no --platform")
    return _problem("plan-fixed", f"the plan was rendered for {platform}", "--platform", way)


def _problem(code: str, title: str, where: str, instead: Instead) -> Problem:
    return Problem(code=code, stage=Stage.USAGE, title=title, where=where, instead=(instead,))


app = make_job_app("submit", SubmitCommand, HELP, SETTINGS)
