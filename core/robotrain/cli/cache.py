"""`robotrain cache`: what is kept for further runs, and removing what is not needed."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.made import make_app
from robotrain.cli.output import say, show, show_json, table

if TYPE_CHECKING:
    from robotrain_runtime.cached import Entry


def cache(
    ctx: typer.Context,
    prune: Annotated[bool, typer.Option("--prune", help="Remove what --unused and --limit say; asks first.")] = False,
    unused: Annotated[
        str, typer.Option(metavar="TIME", show_default=False, help="What nobody used for so long: 30d, 12h.")
    ] = "",
    limit: Annotated[
        str, typer.Option(metavar="SIZE", show_default=False, help="The longest unused, until all is within: 50GB.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What is kept for further runs, when it was last used, and removing what is not needed.

    Everything here is made again when a run needs it. What a run uses at this moment is never removed.

    robotrain cache --prune --unused 30d
    """
    from robotrain_runtime import cached as kept

    from robotrain import amounts, folders
    from robotrain.cli import removing

    span = removing.amount(amounts.parse_span, unused, "--unused", "30d")
    most = removing.amount(amounts.parse_size, limit, "--limit", "50GB")
    if prune and span is None and most is None:
        raise removing.usage(
            "--prune needs to know what may go",
            "Nothing is removed that was not asked for.",
            ("robotrain cache --prune --unused 30d", "what nobody used for 30 days"),
            ("robotrain cache --prune --limit 50GB", "the longest unused, until all is within 50 GB"),
        )
    if yes and not prune:
        raise removing.usage(
            "--yes goes with --prune, and --prune is not there",
            "Without --prune nothing is removed.",
            ("robotrain cache --prune --yes …", "removes what --unused and --limit say"),
        )
    found = kept.entries(folders.cache())
    chosen = prune or span is not None or most is not None
    going = kept.going(found, unused=span, limit=most, now=time.time()) if chosen else []
    if not json:
        show(_table(found, going) if found else f"nothing is kept in {folders.cache()}")
        if found:
            say(_sum(found, going, chosen))
    act = prune and bool(going) and removing.confirmed(f"{len(going)} of them", yes)
    removed = _remove(going) if act else []
    if json:
        show_json({"folder": str(folders.cache()), "entries": [_as_data(one, going, removed) for one in found]})


def _table(found: Sequence["Entry"], going: Sequence["Entry"]) -> str:
    from robotrain import amounts

    now = time.time()
    rows = [("NAME", "SIZE", "LAST USED", "STATE")]
    for one in found:
        rows.append((one.name, amounts.size(one.held.size), amounts.ago(now - one.used), _state(one, going)))
    return table(rows)


def _state(one: "Entry", going: Sequence["Entry"]) -> str:
    words = ["in use"] if one.busy else []
    words += [] if one.complete else ["incomplete"]
    return ", ".join([*words, *(["would go"] if one in going else [])])


def _sum(found: Sequence["Entry"], going: Sequence["Entry"], chosen: bool) -> str:
    from robotrain import amounts

    total, alone = sum(one.held.size for one in found), sum(one.held.alone for one in going)
    text = f"{len(found)} kept, {amounts.size(total)}"
    if not chosen:
        return text
    if not going:
        return f"{text}; none of them would go"
    shared = sum(one.held.size for one in going) - alone
    freed = f"{text}; {len(going)} would go, {amounts.size(alone)} would be free again"
    if shared <= alone:
        return freed
    return f"{freed}\n{amounts.size(shared)} more are linked from elsewhere; if that is uv's own cache: uv cache clean"


def _remove(going: Sequence["Entry"]) -> list["Entry"]:
    from robotrain_runtime import cached as kept

    removed = []
    for one in going:
        try:
            gone = kept.remove(one)
        except OSError as error:
            say(f"{one.name} was not removed: {error.strerror or error}")
            continue
        say(f"removed {one.name}" if gone else f"{one.name} stays: a run took it up meanwhile")
        removed += [one] if gone else []
    return removed


def _as_data(one: "Entry", going: Sequence["Entry"], removed: Sequence["Entry"]) -> dict[str, Any]:
    """An entry as data; the keys are an API."""
    return {
        "name": one.name,
        "path": str(one.path),
        "bytes": one.held.size,
        "freed_bytes": one.held.alone,
        "used": one.used,
        "in_use": one.busy,
        "complete": one.complete,
        "would_go": one in going,
        "removed": one in removed,
    }


app = make_app(cache)
