"""`robotrain cache`: what is kept for further runs, and removing what is not needed."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import make_app
from robotrain.cli.output import format_table, print_json, print_message, print_result

if TYPE_CHECKING:
    from robotrain_runtime.machine.disk_cache import CacheEntry


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
    from robotrain_runtime.machine import disk_cache as kept

    from robotrain.cli import arguments
    from robotrain.model import amounts
    from robotrain.store import files

    span = arguments.parse_amount(amounts.parse_duration, unused, "--unused", "30d")
    most = arguments.parse_amount(amounts.parse_size, limit, "--limit", "50GB")
    if prune and span is None and most is None:
        raise arguments.usage_error(
            "--prune needs to know what may go",
            "Nothing is removed that was not asked for.",
            ("robotrain cache --prune --unused 30d", "what nobody used for 30 days"),
            ("robotrain cache --prune --limit 50GB", "the longest unused, until all is within 50 GB"),
        )
    if yes and not prune:
        raise arguments.usage_error(
            "--yes goes with --prune, and --prune is not there",
            "Without --prune nothing is removed.",
            ("robotrain cache --prune --yes …", "removes what --unused and --limit say"),
        )
    found = kept.list_cache_entries(files.get_cache_folder())
    chosen = prune or span is not None or most is not None
    going = kept.choose_prunable(found, unused=span, limit=most, now=time.time()) if chosen else []
    if not json:
        print_result(_format_entries(found, going) if found else f"nothing is kept in {files.get_cache_folder()}")
        if found:
            print_message(_summarize_entries(found, going, chosen))
    act = prune and bool(going) and arguments.confirm_removal(f"{len(going)} of them", yes)
    removed = _remove_entries(going) if act else []
    if json:
        print_json(
            {"folder": str(files.get_cache_folder()), "entries": [_dump_entry(one, going, removed) for one in found]}
        )


def _format_entries(entries: Sequence["CacheEntry"], selected: Sequence["CacheEntry"]) -> str:
    from robotrain.model import amounts

    now = time.time()
    rows = [("NAME", "SIZE", "LAST USED", "STATE")]
    for one in entries:
        rows.append(
            (
                one.name,
                amounts.format_size(one.folder_size.size),
                amounts.format_age(now - one.used),
                _format_state(one, selected),
            )
        )
    return format_table(rows)


def _format_state(entry: "CacheEntry", selected: Sequence["CacheEntry"]) -> str:
    words = ["in use"] if entry.busy else []
    words += [] if entry.complete else ["incomplete"]
    return ", ".join([*words, *(["would go"] if entry in selected else [])])


def _summarize_entries(entries: Sequence["CacheEntry"], selected: Sequence["CacheEntry"], chosen: bool) -> str:
    from robotrain.model import amounts

    total, alone = sum(one.folder_size.size for one in entries), sum(one.folder_size.reclaimable for one in selected)
    text = f"{len(entries)} kept, {amounts.format_size(total)}"
    if not chosen:
        return text
    if not selected:
        return f"{text}; none of them would go"
    shared = sum(one.folder_size.size for one in selected) - alone
    freed = f"{text}; {len(selected)} would go, {amounts.format_size(alone)} would be free again"
    if shared <= alone:
        return freed
    return f"{freed}\n{amounts.format_size(shared)} more are linked from elsewhere; if that is uv's own cache: uv cache clean"


def _remove_entries(selected: Sequence["CacheEntry"]) -> list["CacheEntry"]:
    from robotrain_runtime.machine import disk_cache as kept

    removed = []
    for one in selected:
        try:
            gone = kept.remove_entry(one)
        except OSError as error:
            print_message(f"{one.name} was not removed: {error.strerror or error}")
            continue
        print_message(f"removed {one.name}" if gone else f"{one.name} stays: a run took it up meanwhile")
        removed += [one] if gone else []
    return removed


def _dump_entry(
    entry: "CacheEntry", selected: Sequence["CacheEntry"], removed: Sequence["CacheEntry"]
) -> dict[str, Any]:
    """An entry as data; the keys are an API."""
    return {
        "name": entry.name,
        "path": str(entry.path),
        "bytes": entry.folder_size.size,
        "freed_bytes": entry.folder_size.reclaimable,
        "used": entry.used,
        "in_use": entry.busy,
        "complete": entry.complete,
        "would_go": entry in selected,
        "removed": entry in removed,
    }


app = make_app(cache)
