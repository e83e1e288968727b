"""`robotrain schema`: print the JSON Schema of job files, or of what a command prints with `--json`."""

from typing import Annotated

import typer

from robotrain.cli import json_schema
from robotrain.cli.arguments import argument, complete_platforms, complete_workloads, make_usage_error, option
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.missing_plugins import load_named_plugin
from robotrain.cli.output import print_json, print_problems
from robotrain.command_table import ALIASES, COMMANDS
from robotrain.config import job_schema
from robotrain.config.values import Origin
from robotrain.errors import Suggestion
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact

JsonOption = Annotated[bool, typer.Option("--json", help="Print problems as JSON too; the schema is JSON anyway.")]


def complete_subjects(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the workloads and the commands that begin like this."""
    commands = [name for name in COMMANDS if name.startswith(incomplete)]
    return [*complete_workloads(ctx, incomplete), *commands]


def schema(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        argument("[WORKLOAD | COMMAND]", "Only this workload, or what this command prints.", complete_subjects),
    ] = None,
    platform: Annotated[
        str, option("--platform", "NAME", "Only the settings of this platform.", complete_platforms)
    ] = "",
    json: JsonOption = False,
) -> None:
    """Print the JSON Schema of job.yaml, for the installed workloads, platforms and source kinds.

    robotrain schema > job.schema.json

    Editors with yaml-language-server use it if the job file begins with

    # yaml-language-server: $schema=job.schema.json

    With a command, print the schema of its JSON:

    robotrain schema status

    robotrain schema data check
    """
    found, given = get_plugins(ctx), words or []
    workload = " ".join(given)
    command = " ".join((ALIASES.get(given[0], given[0]), *given[1:])) if given else ""
    if command and (tables := json_schema.find_tables(command, found)):
        return _print_command_schema(command, tables, platform)
    is_known = not workload or workload in found.list_names("workload")
    if near := () if is_known else suggest_name(workload, COMMANDS, "robotrain schema "):
        title = f"{redact(workload)!r} is no command and no installed workload"
        raise make_usage_error(title, "Without either, the schema is that of job.yaml.", *near)
    if workload:
        workloads = [load_named_plugin(found, "workload", workload, Origin("argument"))]
    else:
        workloads = [*found.workloads().values()]
    if platform:
        platforms = [load_named_plugin(found, "platform", platform, Origin("flag", "--platform"))]
    else:
        platforms = [*found.platforms().values()]
    kinds = found.source_kinds()
    print_problems(failure.make_problem(severity="warning") for failure in found.failures.values())
    default = workload or found.default_workload()
    print_json(job_schema.make_job_schema(workloads, platforms, kinds, default))


def _print_command_schema(command: str, tables: json_schema.Tables, platform: str) -> None:
    known = tables[json_schema.DOCUMENTS]
    if command not in known:
        ways = [Suggestion(f"robotrain schema {name}") for name in known if name.startswith(f"{command.split()[0]} ")]
        raise make_usage_error(f"`robotrain {redact(command)}` declares no keys of JSON", "", *ways)
    if platform:
        why = "What a command prints is the same for all."
        raise make_usage_error("--platform is for the schema of a job", why, Suggestion(f"robotrain schema {command}"))
    print_json(json_schema.make_schema(command, tables))


app = make_app(schema)
