"""`robotrain submit`: the whole way of a job, to a run."""

from typing import Any

import typer

from robotrain.cli.compose import SETTINGS, switch
from robotrain.cli.job_command import JobCommand
from robotrain.cli.options import Options
from robotrain.cli.output import report, say, show, show_json

HELP = """Check a job, render its plan, and send it to a platform.

  robotrain submit examples/pusht-mini/job.yaml --platform PLATFORM --wait

  robotrain submit --platform PLATFORM --dataset-path ./my-dataset --training-steps 2000 --batch-size 8

  robotrain submit job.yaml --platform PLATFORM -- --policy.chunk_size=16

What stands after `--` goes to the trainer as it is.
"""

SWITCHES = {
    "wait": "follow the run to its end; the exit code says how it ended",
    "dry_run": "everything but sending: check, render, and look whether it could run",
    "json": "print JSON",
}


class SubmitCommand(JobCommand):
    """Goes all the way."""

    def own_options(self, options: Options) -> None:
        """What happens beside sending."""
        for name, help in SWITCHES.items():
            flag = "--" + name.replace("_", "-")
            options.add(switch(name, (flag,), help, "Options"), (flag,))

    def perform(self, ctx: typer.Context, prepared: Any, given: dict[str, Any]) -> None:
        """Send the job, and follow it when asked."""
        from robotrain.cli import follow, render
        from robotrain.cli.app import plugins_of
        from robotrain.send import attempt_of, rehearse, send

        report(prepared.remarks)
        if given.get("dry_run"):
            plan = rehearse(prepared, report)
            show_json(render.plan_json(plan)) if given.get("json") else show(render.plan_text(plan))
            say(f"{plan.run} could be sent; nothing was")
            return
        record = send(prepared, report, announce=say if given.get("json") else show)
        if (attempt := attempt_of(record.run)) > 1:
            say(f"  this is attempt {attempt} of this very job")
        report(plugins_of(ctx).run_changed(record))
        if given.get("json") and not given.get("wait"):
            show_json(
                {"run": record.run, "platform": record.platform, "job": record.job, "reference": record.reference}
            )
        if given.get("wait"):
            follow.to_the_end(record, prepared.platform, as_json=bool(given.get("json")))
        else:
            say(f"  robotrain status {record.run}    how it is\n  robotrain logs -f {record.run}   follow its log")


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("submit", cls=SubmitCommand, help=HELP, context_settings=SETTINGS)(lambda: None)
