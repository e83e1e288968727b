"""`robotrain explain`: each resolved value, where it came from, and what it overrode."""

from collections.abc import Iterator
from typing import Any

import typer

from robotrain.cli.job.compose import SETTINGS, switch
from robotrain.cli.job.job_command import JobCommand
from robotrain.cli.job.options import Options
from robotrain.cli.made import make_job_app
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
        rows = [*self._choices(), *_derived(prepared)]
        if given.get("json"):
            job = prepared.job
            show_json({"workload": job.workload, "job": job.digest, "values": rows})
        else:
            show(table([("NAME", "VALUE", "FROM", "OVERRODE"), *map(_printed, rows)]))

    def _choices(self) -> Iterator[dict[str, Any]]:
        """What decided which values there are."""
        workload, platform = self.chosen.origins
        yield {"name": "workload", "value": self.chosen.workload, "origin": str(workload), "overrode": []}
        yield {"name": "platform", "value": self.chosen.platform, "origin": str(platform), "overrode": []}


def _derived(prepared: Any) -> Iterator[dict[str, Any]]:
    """Every value; in place of one that nobody said, what its platform makes of that, where it tells."""
    from robotrain.provenance import PLATFORM, Origin

    platform = prepared.platform
    tell = getattr(platform, "derived", None)
    told = dict(tell(prepared.job, prepared.settings)) if tell else {}
    for row in prepared.values:
        if row["value"] is None and (one := told.get(row["name"])):
            yield {**row, "value": one.value or None, "origin": str(Origin(PLATFORM, f"{platform.name}: {one.why}"))}
        else:
            yield dict(row)


def _printed(row: dict[str, Any]) -> tuple[str, str, str, str]:
    losers = [f"{loser['value']} ({loser['origin']})" for loser in row["overrode"] if loser["value"] != "None"]
    value = "-" if row["value"] is None else str(row["value"])
    return row["name"], value, row["origin"], ", ".join(losers) if row["origin"] != "default" else ""


app = make_job_app("explain", ExplainCommand, HELP, SETTINGS)
