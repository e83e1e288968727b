"""`robotrain plugins`: what is installed, what it brings, what failed and why."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.output import report, show, show_json, table

if TYPE_CHECKING:
    from robotrain.claims import Claim

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def plugins(ctx: typer.Context, json: Json = False) -> None:
    """What is installed, what it brings, what failed and why."""
    found = plugins_of(ctx)
    found.load_everything()
    remarks = found.remarks()
    rows = [_as_data(claim, found, remarks.get(claim, ())) for claim in found.claims]
    if json:
        show_json({"plugins": rows})
        return
    lines = [(row["claim"], row["distribution"], row["module"], _state(row)) for row in rows]
    show(table([("CLAIM", "FROM", "MODULE", "STATE"), *lines]))
    report(failure.problem(severity="warning") for failure in found.failures.values())


def _as_data(claim: "Claim", found: Any, remarks: Sequence[str]) -> dict[str, Any]:
    """A claim as data; the keys are an API."""
    failure = found.failures.get(claim)
    return {
        "claim": claim.dotted,
        "distribution": claim.distribution,
        "module": claim.point.value,
        "hooks": found.hooks(claim),
        "api": found.api(claim),
        "failure": failure.why if failure else None,
        "instead": [{"text": way.text, "remark": way.remark} for way in failure.ways] if failure else [],
        "remarks": list(remarks),
    }


def _state(row: dict[str, Any]) -> str:
    """Of a site plugin also what it does: nothing else tells it."""
    if row["failure"]:
        return str(row["failure"])
    site = "." not in row["claim"]
    works = f"ok: {', '.join(row['hooks']) or 'no hook'}" if site else "ok"
    return "; ".join([works, *row["remarks"]])


app = make_app(plugins)
