"""`robotrain plugins`: what is installed."""

from typing import Any

import typer

from robotrain.cli.arguments import JsonOption
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.output import dump_suggestions, format_table, print_json, print_problems, print_result
from robotrain.plugins.discovery import Claim
from robotrain.plugins.manager import Plugins


def plugins(ctx: typer.Context, json: JsonOption = False) -> None:
    """List the installed plugins, what they provide, and why any failed to load.

    robotrain plugins
    """
    installed = get_plugins(ctx)
    installed.load_all()
    rows = [_dump_claim(claim, installed) for claim in installed.claims]
    if json:
        print_json({"plugins": rows})
        return
    table_rows = [("CLAIM", "FROM", "MODULE", "STATE")]
    for row in rows:
        hooks = f": {', '.join(row['hooks']) or 'no hook'}" if "." not in row["claim"] else ""  # of a site plugin
        table_rows.append((row["claim"], row["distribution"], row["module"], row["failure"] or f"ok{hooks}"))
    print_result(format_table(table_rows))
    print_problems(failure.make_problem(severity="warning") for failure in installed.failures.values())


def _dump_claim(claim: Claim, installed: Plugins) -> dict[str, Any]:
    """Return a claim as data; the keys are an API."""
    failure = installed.failures.get(claim)
    return {
        "claim": claim.dotted,
        "distribution": claim.distribution,
        "module": claim.value,
        "hooks": installed.list_hooks(claim),
        "failure": failure.reason if failure else None,
        "instead": dump_suggestions(failure.suggestions) if failure else [],
    }


app = make_app(plugins)
