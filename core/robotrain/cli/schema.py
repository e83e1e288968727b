"""`robotrain schema`: what a job file may say here, as JSON Schema; editors complete and check it."""

from typing import Annotated

import typer

from robotrain.cli import named
from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.output import report, show_json
from robotrain.provenance import Origin

Workload = Annotated[
    str,
    typer.Argument(
        metavar="[WORKLOAD]",
        help="One workload; without it all of them.",
        show_default=False,
        autocompletion=named.beginning("workload"),
    ),
]
Platform = Annotated[
    str,
    typer.Option(
        "--platform",
        metavar="NAME",
        help="Settings of this platform alone.",
        show_default=False,
        autocompletion=named.beginning("platform"),
    ),
]
ORIGIN = Origin("flag", "--platform")
Json = Annotated[bool, typer.Option("--json", help="Print problems as JSON too; the schema is JSON anyway.")]


def schema(
    ctx: typer.Context,
    workload: Workload = "",
    platform: Platform = "",
    json: Json = False,
) -> None:
    """Print the JSON Schema of job.yaml for what is installed.

    robotrain schema > job.schema.json

    Editors with yaml-language-server use it where the job file begins with

    # yaml-language-server: $schema=job.schema.json
    """
    from robotrain import job_schema

    found = plugins_of(ctx)
    workloads = (
        {workload: named.one(found, "workload", workload, Origin("argument"))} if workload else found.workloads()
    )
    platforms = {platform: named.one(found, "platform", platform, ORIGIN)} if platform else found.platforms()
    kinds = found.source_kinds()
    report(failure.problem(severity="warning") for failure in found.failures.values())
    default = workload or found.default_workload()
    show_json(job_schema.schema(workloads.values(), platforms.values(), kinds, default))


app = make_app(schema)
