"""The folders robotrain writes to: whether they can be written, on what kind of disk they lie, how full it is."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from robotrain import disk, folders
from robotrain.amounts import size
from robotrain.health import Finding, fail, ok, warn
from robotrain.problem import Instead

LITTLE = 10**9
BLOCK = 4096


def state() -> Iterator[Finding]:
    """Where runs are recorded."""
    older = Instead("robotrain runs --prune --older-than 30d", "removes old runs")
    yield from _place(folders.state(), "ROBOTRAIN_STATE", older)


def cache() -> Iterator[Finding]:
    """Where environments and data are kept."""
    unused = Instead("robotrain cache --prune --unused 30d", "removes what nobody used for a month")
    yield from _place(folders.cache(), "ROBOTRAIN_CACHE", unused)


def _place(folder: Path, name: str, room: Instead) -> Iterator[Finding]:
    another = Instead(f"{name}=FOLDER robotrain …", "a folder that can be written")
    if why := _unwritable(folder):
        yield fail(f"{folder} cannot be written: {why}", another)
        return
    kind, free = disk.kind(folder), disk.free(folder)
    about = ", ".join(part for part in (_named(kind), f"{size(free)} free", _new(folder)) if part)
    if free < LITTLE:
        larger = Instead(f"{name}=FOLDER robotrain …", "on a larger disk")
        yield warn(f"{folder} has little room ({about})", room, larger)
    else:
        yield ok(f"{folder} ({about})")


def _unwritable(folder: Path) -> str:
    """Why nothing can be written there; empty when it can."""
    there = disk.there(folder)
    if not there.is_dir():
        return f"{there} is a file"
    if there != folder:
        return "" if os.access(there, os.W_OK | os.X_OK) else f"it is not there, and {there} does not let you make it"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(BLOCK))  # on a full disk an empty file can still be made
            file.flush()
    except OSError as error:
        return str(error.strerror or error)
    return ""


def _named(kind: str) -> str:
    return f"{kind}, shared over a network" if disk.shared(kind) else kind


def _new(folder: Path) -> str:
    return "" if folder.exists() else "made when it is needed"
