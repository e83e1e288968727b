"""`robotrain schema`: print the JSON Schema of job files."""

from typing import Annotated

import typer

from robotrain.cli import arguments
from robotrain.cli.app import get_plugins, make_app
from robotrain.cli.output import print_json, print_problems
from robotrain.config.request import Origin

WorkloadArgument = Annotated[
    str,
    typer.Argument(
        metavar="[WORKLOAD]",
        help="Only this workload; default: all.",
        show_default=False,
        autocompletion=arguments.complete_names("workload"),
    ),
]
PlatformOption = Annotated[
    str,
    typer.Option(
        "--platform",
        metavar="NAME",
        help="Only the settings of this platform.",
        show_default=False,
        autocompletion=arguments.complete_names("platform"),
    ),
]
PLATFORM_ORIGIN = Origin("flag", "--platform")
JsonOption = Annotated[bool, typer.Option("--json", help="Print problems as JSON too; the schema is JSON anyway.")]


def schema(
    ctx: typer.Context,
    workload: WorkloadArgument = "",
    platform: PlatformOption = "",
    json: JsonOption = False,
) -> None:
    """Print the JSON Schema of job.yaml, for the installed workloads, platforms and source kinds.

    robotrain schema > job.schema.json

    Editors with yaml-language-server use it if the job file begins with

    # yaml-language-server: $schema=job.schema.json
    """
    from robotrain.config import job_schema

    found = get_plugins(ctx)
    workloads = (
        {workload: arguments.load_named_plugin(found, "workload", workload, Origin("argument"))}
        if workload
        else found.workloads()
    )
    platforms = (
        {platform: arguments.load_named_plugin(found, "platform", platform, PLATFORM_ORIGIN)}
        if platform
        else found.platforms()
    )
    kinds = found.source_kinds()
    print_problems(failure.make_problem(severity="warning") for failure in found.failures.values())
    default = workload or found.default_workload()
    print_json(job_schema.make_job_schema(workloads.values(), platforms.values(), kinds, default))


app = make_app(schema)
