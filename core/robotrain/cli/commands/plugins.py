"""`robotrain plugins`: what is installed."""

from collections.abc import Sequence
from typing import Any

import typer

from robotrain.cli.arguments import JsonOption
from robotrain.cli.command_factory import format_help, get_plugins, make_app, make_plain_app
from robotrain.cli.output import dump_suggestions, format_table, print_json, print_problems, print_result
from robotrain.errors import raise_if_any
from robotrain.plugins import plugin_warnings
from robotrain.plugins.discovery import Claim
from robotrain.plugins.manager import Plugins


def list_plugins(ctx: typer.Context, json: JsonOption = False) -> None:
    """List the installed plugins when no command is given."""
    if ctx.invoked_subcommand:
        return
    installed = _load_plugins(ctx)
    _print_plugins(installed, json)
    if not json:
        print_problems(failure.make_problem(severity="warning") for failure in installed.failures.values())


def check(ctx: typer.Context, json: JsonOption = False) -> None:
    """Check that every installed plugin loads, and that it declares flags and values correctly.

    robotrain plugins check

    A plugin that fails makes the exit code 1. What a plugin does is tested by its conformance kit.
    """
    installed = _load_plugins(ctx)
    raise_if_any(failure.make_problem() for failure in installed.failures.values())
    _print_plugins(installed, json)


def _load_plugins(ctx: typer.Context) -> Plugins:
    """Load every plugin, and validate what it declares."""
    installed = get_plugins(ctx)
    installed.is_validating = True
    installed.load_all()
    return installed


def _print_plugins(installed: Plugins, json: bool) -> None:
    remarks = plugin_warnings.find_plugin_warnings(installed)
    rows = [_dump_claim(claim, installed, remarks.get(claim, ())) for claim in installed.claims]
    if json:
        print_json({"plugins": rows})
        return
    lines = [("CLAIM", "FROM", "MODULE", "STATE")]
    for row in rows:
        hooks = f": {', '.join(row['hooks']) or 'no hook'}" if "." not in row["claim"] else ""  # of a site plugin
        state = row["failure"] or "; ".join([f"ok{hooks}", *row["remarks"]])
        lines.append((row["claim"], row["distribution"], row["module"], state))
    print_result(format_table(lines))


def _dump_claim(claim: Claim, installed: Plugins, remarks: Sequence[str]) -> dict[str, Any]:
    """Return a claim as data; the keys are an API."""
    failure = installed.failures.get(claim)
    return {
        "claim": claim.dotted,
        "distribution": claim.distribution,
        "module": claim.value,
        "hooks": installed.list_hooks(claim),
        "failure": failure.reason if failure else None,
        "instead": dump_suggestions(failure.suggestions) if failure else [],
        "remarks": list(remarks),
    }


HELP = """List the installed plugins, what they provide, and why any failed to load.

robotrain plugins

robotrain plugins check
"""
group = make_app(check)
group.callback(invoke_without_command=True)(list_plugins)
app = make_plain_app()
app.add_typer(group, name="plugins", help=format_help(HELP))
app.callback()(lambda: None)
