"""Keeping the data of the cache within its limit: the longest unused goes first, nothing that a run uses."""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from robotrain_runtime import cached
from robotrain_runtime.cached import Entry
from robotrain_runtime.disk_use import GIB

DATA = ("data/", "prepared/")
"""What the limit is about. Environments are few, and take long to build again: `robotrain cache` removes those."""


def make_room(cache: Path, gib: float, coming: int, say: Callable[[str], None], wanted: Collection[str] = ()) -> None:
    """Remove data until what is there and `coming` bytes are within `gib`, or all that is left is in use.

    wanted: the digests of data that this run uses, also while it does not hold it. What cannot be removed is said.
    """
    for entry in going(_entries(cache, wanted), round(gib * GIB) - coming):
        try:
            if cached.remove(entry):
                say(f"removed {entry.name} from the cache, {entry.held.size / 1e9:.1f} GB: the limit is {gib:g} GiB")
        except OSError as error:
            say(f"{entry.name} could not be removed from the cache: {error.strerror or error}")


def would_free(cache: Path, gib: float, coming: int, wanted: Collection[str]) -> int:
    """The bytes that `make_room` would free."""
    return sum(entry.held.alone for entry in going(_entries(cache, wanted), round(gib * GIB) - coming))


def going(entries: list[Entry], limit: int) -> list[Entry]:
    """Which of `entries` go, so that those that stay are at most `limit` bytes; pure."""
    stays, gone = sum(entry.held.size for entry in entries), []
    for entry in sorted(entries, key=lambda entry: (entry.used, entry.name)):
        if stays <= limit:
            break
        if not entry.busy:
            gone.append(entry)
            stays -= entry.held.size
    return gone


def _entries(cache: Path, wanted: Collection[str]) -> list[Entry]:
    """The data in the cache; what this run wants counts as in use."""
    found = [entry for entry in cached.entries(cache) if entry.name.startswith(DATA)]
    return [replace(one, busy=one.busy or one.path.name.partition(".")[0] in wanted) for one in found]
