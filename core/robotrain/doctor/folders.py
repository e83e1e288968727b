"""Health checks of the folders that robotrain writes to: who may write, how much room there is, and what is cached."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.machine import disk_cache

from robotrain.errors import Problem, Suggestion
from robotrain.model.amounts import format_size
from robotrain.model.health import (
    HealthResult,
    convert_problem,
    report_failure,
    report_ok,
    report_warning,
)
from robotrain.store import files, ownership


def check_configuration_folder() -> Iterator[HealthResult]:
    """Check that nobody else can write to the folder of the user's own configuration."""
    folder = files.get_configuration_folder()
    ownership_problems = _find_ownership_problems(folder)
    yield from map(convert_problem, ownership_problems)
    if not ownership_problems:
        yield report_ok(f"{folder}" if folder.exists() else f"none in {folder.parent}")


def _find_ownership_problems(folder: Path) -> list[Problem]:
    own_folders = [own_folder for own_folder in files.list_own_folders() if own_folder.path == folder]
    return [*ownership.find_ownership_problems(own_folders)]


MIN_FREE_BYTES = 10**9
PROBE_BYTES = 4096


def check_folder(folder: Path, name: str, free_space: Suggestion) -> Iterator[HealthResult]:
    """Check a folder that a variable names; `free_space` removes what is old in it."""
    folder_suggestion = Suggestion(f"{name}=FOLDER robotrain …", "a writable folder")
    if problems := _find_ownership_problems(folder):
        yield from map(convert_problem, problems)
        return
    if reason := _describe_write_failure(folder):
        yield report_failure(f"{folder} cannot be written: {reason}", folder_suggestion)
        return
    kind = files.get_filesystem(folder)
    free = disk_cache.get_free_bytes(folder)
    shared_note = "shared over a network" if files.is_network_filesystem(kind) else ""
    folder_facts = (kind, shared_note, f"{format_size(free)} free", "" if folder.exists() else "created when needed")
    facts_text = ", ".join(filter(None, folder_facts))
    if free < MIN_FREE_BYTES:
        larger = Suggestion(f"{name}=FOLDER robotrain …", "on a larger disk")
        yield report_warning(f"{folder} has little free space ({facts_text})", free_space, larger)
    else:
        yield report_ok(f"{folder} ({facts_text})")


def _describe_write_failure(folder: Path) -> str:
    """Return why the folder cannot be written; empty if it can."""
    parent = disk_cache.find_existing_parent(folder)
    if not parent.is_dir():
        return f"{parent} is a file"
    if parent != folder:
        return "" if os.access(parent, os.W_OK | os.X_OK) else f"it does not exist, and {parent} is not writable"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE_BYTES))  # an empty file can be created on a full disk
            file.flush()
    except OSError as error:
        return str(error.strerror or error)
    return ""


COUNT_SECONDS = 1.5
"""The maximal time to measure the cache: on a slow disk, the size is `at least`."""


def check_cache() -> Iterator[HealthResult]:
    """Report the cached environments and data."""
    entries = disk_cache.list_cache_entries(files.get_cache_folder(), deadline=time.monotonic() + COUNT_SECONDS)
    for entry in entries:
        if not entry.complete and not entry.busy:
            text = f"{entry.name} is incomplete; it is created again when needed"
            yield report_warning(text, Suggestion("robotrain prune --cache", "removes it, and what no run uses"))
    sizes = [entry.folder_size for entry in entries if entry.complete]
    least = "" if all(size.is_complete for size in sizes) else "at least "
    total = f"{len(sizes)} complete, {least}{format_size(sum(size.size for size in sizes))}"
    yield report_ok(total if sizes else "empty: the first run builds its environment")
