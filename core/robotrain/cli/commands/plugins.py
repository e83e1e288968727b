"""`robotrain plugins`: what is installed, what it brings, what failed and why."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import get_plugins, make_app
from robotrain.cli.output import format_table, print_json, print_problems, print_result

if TYPE_CHECKING:
    from robotrain.plugins.claims import Claim
    from robotrain.plugins.manager import Plugins

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def plugins(ctx: typer.Context, json: JsonOption = False) -> None:
    """What is installed, what it brings, what failed and why."""
    found = get_plugins(ctx)
    found.load_all()
    remarks = found.find_warnings()
    rows = [_dump_claim(claim, found, remarks.get(claim, ())) for claim in found.claims]
    if json:
        print_json({"plugins": rows})
        return
    lines = [(row["claim"], row["distribution"], row["module"], _format_state(row)) for row in rows]
    print_result(format_table([("CLAIM", "FROM", "MODULE", "STATE"), *lines]))
    print_problems(failure.make_problem(severity="warning") for failure in found.failures.values())


def _dump_claim(claim: "Claim", plugins_found: "Plugins", remarks: Sequence[str]) -> dict[str, Any]:
    """A claim as data; the keys are an API."""
    failure = plugins_found.failures.get(claim)
    return {
        "claim": claim.dotted,
        "distribution": claim.distribution,
        "module": claim.point.value,
        "hooks": plugins_found.list_hooks(claim),
        "api": plugins_found.get_api_version(claim),
        "failure": failure.reason if failure else None,
        "instead": [{"text": way.text, "remark": way.remark} for way in failure.suggestions] if failure else [],
        "remarks": list(remarks),
    }


def _format_state(row: dict[str, Any]) -> str:
    """Of a site plugin also what it does: nothing else tells it."""
    if row["failure"]:
        return str(row["failure"])
    site = "." not in row["claim"]
    works = f"ok: {', '.join(row['hooks']) or 'no hook'}" if site else "ok"
    return "; ".join([works, *row["remarks"]])


app = make_app(plugins)
