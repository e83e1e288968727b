"""`robotrain schema`: what a job file may say here, as JSON Schema; editors complete and check it."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.output import say, show_json
from robotrain.workload import DEFAULT_WORKLOAD


def _beginning(family: str) -> Callable[[typer.Context, str], list[str]]:
    """Completes the names of what is installed."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        return [name for name in plugins_of(ctx).names(family) if name.startswith(incomplete)]

    return complete


Workload = Annotated[
    str,
    typer.Argument(
        metavar="[WORKLOAD]",
        help="One workload; without it all of them.",
        show_default=False,
        autocompletion=_beginning("workload"),
    ),
]
Platform = Annotated[
    str,
    typer.Option(
        "--platform",
        metavar="NAME",
        help="Settings of this platform alone.",
        show_default=False,
        autocompletion=_beginning("platform"),
    ),
]
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
    workloads = {workload: _one(found, "workload", workload)} if workload else found.workloads()
    platforms = {platform: _one(found, "platform", platform)} if platform else found.platforms()
    kinds = found.source_kinds()
    for failure in found.failures.values():
        say(f"warning: {failure}")
    default = workload or DEFAULT_WORKLOAD
    show_json(job_schema.schema(workloads.values(), platforms.values(), kinds, default))


def _one(plugins: Any, family: str, name: str) -> Any:
    """The workload or the platform of a name. Raises Rejected with the nearest that there is."""
    from robotrain.cli import usage
    from robotrain.plugins import PluginError
    from robotrain.problem import Rejected
    from robotrain.provenance import Origin

    try:
        return getattr(plugins, family)(name)
    except PluginError as error:
        origin = Origin("flag", "--platform") if family == "platform" else Origin("argument")
        raise Rejected([usage.not_loaded(family, name, str(error), plugins, origin)]) from None


app = make_app(schema)
