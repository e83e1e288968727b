"""Keeping the data of the cache within its limit: the longest unused goes first, nothing that a run uses."""

from collections.abc import Callable
from pathlib import Path

from robotrain_runtime import cached
from robotrain_runtime.cached import Entry

GIB = 1024**3
DATA = ("data/", "prepared/")
"""What the limit is about. Environments are few, and take long to build again: `robotrain cache` removes those."""


def make_room(cache: Path, gib: float, coming: int, say: Callable[[str], None]) -> None:
    """Remove data until what is there and `coming` bytes are within `gib`, or all that is left is in use.

    Call it while the data of this run is held. What cannot be removed is said, and stays.
    """
    entries = [entry for entry in cached.entries(cache) if entry.name.startswith(DATA)]
    for entry in going(entries, round(gib * GIB) - coming):
        try:
            if cached.remove(entry):
                say(f"removed {entry.name} from the cache, {entry.held.size / 1e9:.1f} GB: the limit is {gib:g} GiB")
        except OSError as error:
            say(f"{entry.name} could not be removed from the cache: {error.strerror or error}")


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
