"""`robotrain cache`: list cached environments and data, and remove unused ones."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from robotrain_runtime.machine import disk_cache
from robotrain_runtime.machine.disk_cache import CacheEntry

from robotrain.cli import arguments
from robotrain.cli.arguments import JsonOption, PruneDryRunOption, YesOption, option
from robotrain.cli.command_factory import make_app
from robotrain.cli.output import format_table, print_json, print_message, print_result
from robotrain.model import amounts
from robotrain.store import files


def cache(
    ctx: typer.Context,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove entries chosen by --unused and --limit; asks first.")
    ] = False,
    unused: Annotated[str, option("--unused", "TIME", "Entries not used for this long: 30d, 12h.")] = "",
    limit: Annotated[
        str, option("--limit", "SIZE", "Least recently used entries, until this much remains: 50GB.")
    ] = "",
    dry_run: PruneDryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """List what is cached for later runs; with --prune, remove what is no longer used.

    A run recreates what it needs. Entries that a run is using are never removed.

    robotrain cache --prune --unused 30d
    """
    span = arguments.parse_amount(amounts.parse_duration, unused, "--unused", "30d")
    max_size = arguments.parse_amount(amounts.parse_size, limit, "--limit", "50GB")
    if prune and span is None and max_size is None:
        raise arguments.make_usage_error(
            "--prune needs --unused or --limit",
            "Without one of them, nothing would be removed.",
            ("robotrain cache --prune --unused 30d", "entries not used for 30 days"),
            ("robotrain cache --prune --limit 50GB", "least recently used entries, until 50 GB remain"),
        )
    for flag in [flag for flag, is_given in (("--yes", yes), ("--dry-run", dry_run)) if is_given and not prune]:
        remark = "removes" if yes else "shows"
        raise arguments.make_usage_error(
            f"{flag} has no effect without --prune",
            "Without --prune nothing is removed.",
            (f"robotrain cache --prune {flag} …", f"{remark} entries chosen by --unused and --limit"),
        )
    folder = files.get_cache_folder()
    entries = disk_cache.list_cache_entries(folder)
    chosen = prune or span is not None or max_size is not None
    selected = disk_cache.choose_prunable(entries, unused=span, limit=max_size, now=time.time()) if chosen else []
    if not json:
        print_result(_format_entries(entries, selected) if entries else f"the cache is empty: {folder}")
        if entries:
            print_message(_summarize_entries(entries, selected, chosen))
    if dry_run:
        print_message("dry run: nothing was removed")
    remove = prune and not dry_run and bool(selected) and arguments.confirm_removal(_count_entries(len(selected)), yes)
    removed = _remove_entries(selected) if remove else []
    if json:
        print_json({"folder": str(folder), "entries": [_dump_entry(entry, selected, removed) for entry in entries]})


def _count_entries(count: int) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'}"


def _format_entries(entries: Sequence[CacheEntry], selected: Sequence[CacheEntry]) -> str:
    now = time.time()
    rows = [("NAME", "SIZE", "LAST USED", "STATE")]
    for entry in entries:
        size, age = amounts.format_size(entry.folder_size.size), amounts.format_age(now - entry.used)
        words = {"in use": entry.busy, "incomplete": not entry.complete, "to be removed": entry in selected}
        rows.append((entry.name, size, age, ", ".join(word for word, applies in words.items() if applies)))
    return format_table(rows)


def _summarize_entries(entries: Sequence[CacheEntry], selected: Sequence[CacheEntry], chosen: bool) -> str:
    total = sum(entry.folder_size.size for entry in entries)
    reclaimable = sum(entry.folder_size.reclaimable for entry in selected)
    text = f"{_count_entries(len(entries))}, {amounts.format_size(total)}"
    if not chosen:
        return text
    if not selected:
        return f"{text}; none to remove"
    shared = sum(entry.folder_size.size for entry in selected) - reclaimable
    text += f"; {len(selected)} to remove, which frees {amounts.format_size(reclaimable)}"
    if shared <= reclaimable:
        return text
    hint = "if uv's cache links them, `uv cache clean` frees them"
    return f"{text}\n{amounts.format_size(shared)} more are shared with other folders; {hint}"


def _remove_entries(selected: Sequence[CacheEntry]) -> list[CacheEntry]:
    removed = []
    for entry in selected:
        try:
            done = disk_cache.remove_entry(entry)
        except OSError as error:
            print_message(f"{entry.name} was not removed: {error.strerror or error}")
            continue
        print_message(f"removed {entry.name}" if done else f"{entry.name} was not removed: a run uses it now")
        removed += [entry] if done else []
    return removed


def _dump_entry(entry: CacheEntry, selected: Sequence[CacheEntry], removed: Sequence[CacheEntry]) -> dict[str, Any]:
    """Return an entry as data; the keys are an API."""
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
