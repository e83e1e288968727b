"""`robotrain plugins` and `robotrain platforms`: what is installed, and what it declares."""

from typing import Annotated, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.output import say, show, show_json, table

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def plugins(ctx: typer.Context, json: Json = False) -> None:
    """What is installed, what it brings, what failed and why."""
    found = plugins_of(ctx)
    found.load_everything()
    rows = [_plugin(claim, found) for claim in found.claims]
    if json:
        show_json({"plugins": rows})
    else:
        lines = [(row["claim"], row["distribution"], row["module"], _state(row)) for row in rows]
        show(table([("CLAIM", "FROM", "MODULE", "STATE"), *lines]))


def platforms(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="[PLATFORM]", help="One platform, with reasons.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """What each platform takes and can do, as it declares it."""
    found = plugins_of(ctx)
    chosen = {name: found.platform(name)} if name else found.platforms()
    for failure in found.failures.values():
        say(f"warning: {failure}")
    rows = _matrix(chosen)
    if json:
        show_json({"platforms": list(chosen), "rows": [_as_data(row) for row in rows]})
    elif name:
        show(f"{name}: {chosen[name].summary}\n")
        show(table([(what, support.level.replace("_", " "), support.reason) for what, (support,) in rows]))
    else:
        cells = [(what, *(support.level.replace("_", " ") for support in supports)) for what, supports in rows]
        show(table([("", *chosen), *cells]))


def _plugin(claim: Any, found: Any) -> dict[str, Any]:
    """A claim as data; the keys are an API."""
    failure = found.failures.get(claim)
    return {
        "claim": ".".join(part for part in (claim.family, claim.name) if part),
        "distribution": claim.distribution,
        "module": claim.point.value,
        "hooks": found.hooks(claim),
        "failure": failure.why if failure else None,
    }


def _state(row: dict[str, Any]) -> str:
    """Of a site plugin also what it does: nothing else tells it."""
    site = "." not in row["claim"]
    return row["failure"] or (f"ok: {', '.join(row['hooks']) or 'no hook'}" if site else "ok")


def _matrix(platforms: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """A row for everything that any of the platforms declares."""
    every = [platform.capabilities for platform in platforms.values()]
    rows: dict[str, list[Any]] = {}
    for role, kind in dict.fromkeys(key for can in every for key in can.sources):
        rows[f"{role} from {kind}"] = [can.source(role, kind) for can in every]
    for workload in dict.fromkeys(key for can in every for key in can.workloads):
        rows[f"workload {workload}"] = [can.workload(workload) for can in every]
    for feature in dict.fromkeys(key for can in every for key in can.features):
        rows[f"feature {feature}"] = [can.feature(feature) for can in every]
    return list(rows.items())


def _as_data(row: tuple[str, list[Any]]) -> dict[str, Any]:
    what, supports = row
    return {
        "what": what,
        "support": [{"level": one.level, "reason": one.reason, "instead": one.instead} for one in supports],
    }


app = make_app(platforms, plugins)
