"""`robotrain plugins`: list installed plugins and what they provide."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.app import get_plugins, make_app
from robotrain.cli.arguments import JsonOption
from robotrain.cli.output import format_table, print_json, print_problems, print_result

if TYPE_CHECKING:
    from robotrain.plugins.claims import Claim
    from robotrain.plugins.manager import Plugins


def plugins(ctx: typer.Context, json: JsonOption = False) -> None:
    """List the installed plugins, what they provide, and why any failed to load."""
    installed = get_plugins(ctx)
    installed.load_all()
    remarks = installed.find_warnings()
    rows = [_dump_claim(claim, installed, remarks.get(claim, ())) for claim in installed.claims]
    if json:
        print_json({"plugins": rows})
        return
    lines = [(row["claim"], row["distribution"], row["module"], _format_state(row)) for row in rows]
    print_result(format_table([("CLAIM", "FROM", "MODULE", "STATE"), *lines]))
    print_problems(failure.make_problem(severity="warning") for failure in installed.failures.values())


def _dump_claim(claim: "Claim", installed: "Plugins", remarks: Sequence[str]) -> dict[str, Any]:
    """Return a claim as data; the keys are an API."""
    failure = installed.failures.get(claim)
    return {
        "claim": claim.dotted,
        "distribution": claim.distribution,
        "module": claim.point.value,
        "hooks": installed.list_hooks(claim),
        "api": installed.get_api_version(claim),
        "failure": failure.reason if failure else None,
        "instead": [{"text": way.text, "remark": way.remark} for way in failure.suggestions] if failure else [],
        "remarks": list(remarks),
    }


def _format_state(row: dict[str, Any]) -> str:
    """Return the state of a claim; for a site plugin with its hooks, which nothing else shows."""
    if row["failure"]:
        return str(row["failure"])
    is_site = "." not in row["claim"]
    state = f"ok: {', '.join(row['hooks']) or 'no hook'}" if is_site else "ok"
    return "; ".join([state, *row["remarks"]])


app = make_app(plugins)
