"""`robotrain schema`: print the JSON Schema of job files."""

from typing import Annotated

import typer

from robotrain.cli.arguments import argument, complete_platforms, complete_workloads, option
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.missing_plugins import load_named_plugin
from robotrain.cli.output import print_json, print_problems
from robotrain.config import job_schema
from robotrain.config.values import Origin

JsonOption = Annotated[bool, typer.Option("--json", help="Print problems as JSON too; the schema is JSON anyway.")]


def schema(
    ctx: typer.Context,
    workload: Annotated[str, argument("[WORKLOAD]", "Only this workload.", complete_workloads)] = "",
    platform: Annotated[
        str, option("--platform", "NAME", "Only the settings of this platform.", complete_platforms)
    ] = "",
    json: JsonOption = False,
) -> None:
    """Print the JSON Schema of job.yaml, for the installed workloads, platforms and source kinds.

    robotrain schema > job.schema.json

    Editors with yaml-language-server use it if the job file begins with

    # yaml-language-server: $schema=job.schema.json
    """
    plugins = get_plugins(ctx)
    if workload:
        workloads = [load_named_plugin(plugins, "workload", workload, Origin("argument"))]
    else:
        workloads = [*plugins.workloads().values()]
    if platform:
        platforms = [load_named_plugin(plugins, "platform", platform, Origin("flag", "--platform"))]
    else:
        platforms = [*plugins.platforms().values()]
    kinds = plugins.source_kinds()
    print_problems(failure.make_problem(severity="warning") for failure in plugins.failures.values())
    default = workload or plugins.default_workload()
    print_json(job_schema.make_job_schema(workloads, platforms, kinds, default))


app = make_app(schema)
