"""`robotrain prune --cache`: show and remove cached environments and data."""

import time
from collections.abc import Sequence
from typing import Any

import typer
from robotrain_runtime.machine import disk_cache
from robotrain_runtime.machine.disk_cache import CacheEntry

from robotrain.cli import arguments
from robotrain.cli.output import format_table, print_json, print_message, print_result
from robotrain.errors import Stage
from robotrain.model import amounts
from robotrain.store import files


def prune_cache(unused: str, limit: str, yes: bool, json: bool, dry_run: bool) -> None:
    """Show the entries to remove and their sizes, and remove them after confirmation: all, unless a limit is given.

    A run recreates what it needs. Entries that a run is using are never removed.
    """
    span = arguments.parse_amount(amounts.parse_duration, unused, "--unused", "30d")
    max_size = arguments.parse_amount(amounts.parse_size, limit, "--limit", "50GB")
    if span is None and max_size is None:
        span = 0.0
    folder = files.get_cache_folder()
    entries = disk_cache.list_cache_entries(folder)
    selected_entries = disk_cache.choose_prunable(entries, unused=span, limit=max_size, now=time.time())
    if not json:
        _print_entries(entries, selected_entries)
    if dry_run:
        print_message("dry run: nothing was removed")
    remove = (
        bool(selected_entries) and not dry_run and arguments.confirm_removal(_count_entries(len(selected_entries)), yes)
    )
    removed_entries = _remove_entries(selected_entries) if remove else []
    if json:
        print_json(
            {
                "folder": str(folder),
                "entries": [_dump_entry(entry, selected_entries, removed_entries) for entry in entries],
            }
        )
    elif remove:
        print_result(f"{_count_entries(len(removed_entries))} removed, {_format_freed(removed_entries)} freed")
    if remove and len(removed_entries) < len(selected_entries):
        raise typer.Exit(Stage.SUBMIT.exit_code)


def _count_entries(count: int) -> str:
    return f"{count} cache {'entry' if count == 1 else 'entries'}"


def _format_freed(entries: Sequence[CacheEntry]) -> str:
    return amounts.format_size(sum(entry.folder_size.reclaimable for entry in entries))


def _print_entries(entries: Sequence[CacheEntry], selected_entries: Sequence[CacheEntry]) -> None:
    """Print the entries to remove, what that frees, and which entries stay because a run uses them."""
    if not entries:
        print_message("the cache is empty")
    elif not selected_entries:
        size = amounts.format_size(sum(entry.folder_size.size for entry in entries))
        print_message(f"{_count_entries(len(entries))}, {size}; none to remove")
    else:
        now = time.time()
        rows = [("NAME", "SIZE", "LAST USED", "STATE")]
        for entry in selected_entries:
            age = amounts.format_age(now - entry.used)
            state = "" if entry.complete else "incomplete"
            rows.append((entry.name, amounts.format_size(entry.folder_size.size), age, state))
        print_result(format_table(rows))
        freed_size = _format_freed(selected_entries)
        print_message(f"{len(selected_entries)} of {_count_entries(len(entries))} to remove, which frees {freed_size}")
        _print_shared_size(selected_entries)
    for entry in entries:
        if entry.busy:
            print_message(f"{entry.name} stays: a run uses it")


def _print_shared_size(selected_entries: Sequence[CacheEntry]) -> None:
    """Say what stays on the disk because other folders share it, where that is most of the size."""
    reclaimable_bytes = sum(entry.folder_size.reclaimable for entry in selected_entries)
    shared_bytes = sum(entry.folder_size.size for entry in selected_entries) - reclaimable_bytes
    if shared_bytes > reclaimable_bytes:
        size_text = f"{amounts.format_size(shared_bytes)} more are shared with other folders"
        print_message(f"{size_text}; if uv's cache links them, `uv cache clean` frees them")


def _remove_entries(selected_entries: Sequence[CacheEntry]) -> list[CacheEntry]:
    removed_entries = []
    for entry in selected_entries:
        try:
            is_removed = disk_cache.remove_entry(entry)
        except OSError as error:
            print_message(f"{entry.name} was not removed: {error.strerror or error}")
            continue
        if is_removed:
            removed_entries.append(entry)
            print_message(f"removed {entry.name}")
        else:
            print_message(f"{entry.name} was not removed: a run uses it now")
    return removed_entries


def _dump_entry(
    entry: CacheEntry, selected_entries: Sequence[CacheEntry], removed_entries: Sequence[CacheEntry]
) -> dict[str, Any]:
    """Return an entry as data; the keys are an API."""
    return {
        "name": entry.name,
        "path": str(entry.path),
        "bytes": entry.folder_size.size,
        "freed_bytes": entry.folder_size.reclaimable,
        "used": entry.used,
        "in_use": entry.busy,
        "complete": entry.complete,
        "would_go": entry in selected_entries,
        "removed": entry in removed_entries,
    }
