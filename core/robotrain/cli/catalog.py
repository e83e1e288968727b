"""`robotrain plugins` and `robotrain platforms`: what is installed, and what it declares."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli import named
from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.output import say, show, show_json, table
from robotrain.provenance import Origin

if TYPE_CHECKING:
    from robotrain.capabilities import Support

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
        str,
        typer.Argument(
            metavar="[PLATFORM]",
            help="One platform, with reasons, ways out and its settings.",
            show_default=False,
            autocompletion=named.beginning("platform"),
        ),
    ] = "",
    json: Json = False,
) -> None:
    """What each platform takes and can do, as it declares it."""
    found = plugins_of(ctx)
    chosen = {name: named.one(found, "platform", name, Origin("argument"))} if name else found.platforms()
    for failure in found.failures.values():
        say(f"warning: {failure}")
    rows = _matrix(chosen)
    if json:
        settings = {one: [*_settings(platform)] for one, platform in chosen.items()}
        show_json({"platforms": list(chosen), "rows": [_as_data(row) for row in rows], "settings": settings})
    elif name:
        show(f"{name}: {chosen[name].summary}\n")
        show(table([(_titled(what), _level(support), _remark(what, support)) for what, (support,) in rows]))
        show("\n".join(_settings_told(chosen[name])))
    else:
        cells = [(_titled(what), *map(_level, supports)) for what, supports in rows]
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
    sources = dict.fromkeys(key for can in every for key in can.sources)
    roles = list(dict.fromkeys(role for role, _ in sources))
    for role, kind in sorted(sources, key=lambda source: roles.index(source[0])):
        rows[f"{role} from {kind}"] = [can.source(role, kind) for can in every]
    for workload in dict.fromkeys(key for can in every for key in can.workloads):
        rows[f"workload {workload}"] = [can.workload(workload) for can in every]
    for feature in dict.fromkeys(key for can in every for key in can.features):
        rows[f"feature {feature}"] = [can.feature(feature) for can in every]
    return list(rows.items())


def _titled(what: str) -> str:
    from robotrain.capabilities import ANY

    return "any other workload" if what == f"workload {ANY}" else what


def _level(support: "Support") -> str:
    return support.level.replace("_", " ")


def _remark(what: str, support: "Support") -> str:
    """Why not, and what to do instead; of a feature that is there, what it is."""
    from robotrain.capabilities import FEATURES

    if support:
        return support.reason or FEATURES.get(what.removeprefix("feature "), "")
    return f"{support.reason} Instead: {support.instead}." if support.instead else support.reason


def _settings(platform: Any) -> Iterator[dict[str, Any]]:
    """Each setting as data; the keys are an API."""
    from robotrain_runtime.parameter import parameters_of

    for one in parameters_of(platform.settings):
        yield {"name": one.name, "flag": one.flag, "default": one.default, "env": list(one.env), "help": one.param.help}


def _settings_told(platform: Any) -> Iterator[str]:
    """Its settings as people type them."""
    from robotrain_runtime.parameter import parameters_of

    from robotrain.cli.job.options import help_of

    rows = [
        (f"{one.flag} {'' if one.switch else one.metavar}", help_of(one)) for one in parameters_of(platform.settings)
    ]
    if rows:
        yield f"\nsettings, in a job file below platforms.{platform.name}\n"
        yield table(rows)


def _as_data(row: tuple[str, list[Any]]) -> dict[str, Any]:
    what, supports = row
    return {
        "what": what,
        "support": [{"level": one.level, "reason": one.reason, "instead": one.instead} for one in supports],
    }


app = make_app(platforms, plugins)
