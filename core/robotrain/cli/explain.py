"""`robotrain explain`: each resolved value, where it came from, and what it overrode."""

from collections.abc import Iterator
from typing import Any

import typer

from robotrain.cli.compose import SETTINGS, switch
from robotrain.cli.job_command import JobCommand
from robotrain.cli.options import Options
from robotrain.cli.output import report, show, show_json, table

HELP = """Show each value of a job, where it came from, and what it overrode.

  robotrain explain examples/pusht-mini/job.yaml --platform PLATFORM --training-steps 50
"""


class ExplainCommand(JobCommand):
    """Stops after the check."""

    def own_options(self, options: Options) -> None:
        """How it is printed."""
        options.add(switch("json", ("--json",), "print JSON", "Options"), ("--json",))

    def perform(self, ctx: typer.Context, prepared: Any, given: dict[str, Any]) -> None:
        """Print every value."""
        report(prepared.remarks)
        rows = list(rows_of(prepared))
        if given.get("json"):
            job = prepared.resolution.job
            show_json({"workload": job.workload, "job": job.digest, "values": rows})
        else:
            show(table([("NAME", "VALUE", "FROM", "OVERRODE"), *map(_printed, rows)]))


def rows_of(prepared: Any) -> Iterator[dict[str, Any]]:
    """Sources, parameters and settings, in this order."""
    from robotrain.coerce import scalars
    from robotrain.redaction import redact

    resolution = prepared.resolution
    for one in resolution.inputs.chosen:
        lost = [text for text in resolution.inputs.overrode if text.role == one.role]
        losers = [{"value": redact(text.text), "origin": str(text.origin)} for text in lost]
        yield _row(one.role, f"{one.source.kind} {one.source}", one.origin, losers)
    settled = dict(resolution.job.parameters) | dict(scalars(resolution.settings))
    for name, value in (resolution.parameters | resolution.platform_settings).items():
        losers = [{"value": redact(str(loser.value)), "origin": str(loser.origin)} for loser in value.overrode]
        shown = settled[name]
        yield _row(name, redact(shown) if isinstance(shown, str) else shown, value.origin, losers)
    losers = [{"value": redact(lost.value), "origin": str(lost.origin)} for lost in resolution.replaced_args]
    for argument in resolution.trainer_args:
        yield _row("trainer_args", redact(argument.value), argument.origin, losers)
        losers = []  # all of the file's were replaced by all of these: said once


def _row(name: str, value: Any, origin: Any, losers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "value": value, "origin": str(origin), "overrode": losers}


def _printed(row: dict[str, Any]) -> tuple[str, str, str, str]:
    losers = [f"{loser['value']} ({loser['origin']})" for loser in row["overrode"] if loser["value"] != "None"]
    value = "-" if row["value"] is None else str(row["value"])
    return row["name"], value, row["origin"], ", ".join(losers) if row["origin"] != "default" else ""


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("explain", cls=ExplainCommand, help=HELP, context_settings=SETTINGS)(lambda: None)
