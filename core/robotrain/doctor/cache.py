"""Health check of the cache of downloads: its size, and entries that nobody used for a month."""

import time
from collections.abc import Iterator, Sequence

from robotrain_runtime.machine import disk_cache
from robotrain_runtime.machine.disk_cache import CacheEntry

from robotrain.errors import Suggestion
from robotrain.model.amounts import format_size
from robotrain.model.health import (
    HealthResult,
    report_ok,
    report_warning,
)
from robotrain.store import files

COUNT_SECONDS = 1.5
"""The maximal time to measure the cache: on a slow disk, the size is `at least`."""
UNUSED_SECONDS = 30 * 24 * 3600


def check_cache() -> Iterator[HealthResult]:
    """Report the cached environments and data."""
    cache_entries = disk_cache.list_cache_entries(files.get_cache_folder(), deadline=time.monotonic() + COUNT_SECONDS)
    for entry in cache_entries:
        if not entry.complete and not entry.busy:
            text = f"{entry.name} is incomplete ({_format_sizes([entry])}); it is created again when needed"
            yield report_warning(text, Suggestion("robotrain prune --cache", "removes it, and what no run uses"))
    complete_entries = [entry for entry in cache_entries if entry.complete]
    if not complete_entries:
        yield report_ok("empty: the first run builds its environment")
        return
    busy_count = sum(entry.busy for entry in complete_entries)
    count = f"{len(complete_entries)} {'entry' if len(complete_entries) == 1 else 'entries'}"
    text = f"{count}, {_format_sizes(complete_entries)}" + (f", {busy_count} in use" if busy_count else "")
    idle_entries = disk_cache.choose_prunable(complete_entries, unused=UNUSED_SECONDS, limit=None, now=time.time())
    if not all(entry.folder_size.is_complete for entry in complete_entries):
        text += f"; counting stopped after {COUNT_SECONDS:g} s: `du -sh {files.get_cache_folder()}` counts all"
    if idle_entries:
        text += f"; {len(idle_entries)} not used for a month ({_format_sizes(idle_entries)}): "
        text += "`robotrain prune --cache --unused 30d` removes them"
    yield report_ok(text)


def _format_sizes(entries: Sequence[CacheEntry]) -> str:
    is_exact = all(entry.folder_size.is_complete for entry in entries)
    return ("" if is_exact else "at least ") + format_size(sum(entry.folder_size.size for entry in entries))
