"""What lies in the cache: how much, what was left incomplete, what nobody used for long."""

import time
from collections.abc import Iterator, Sequence
from functools import partial

from robotrain_runtime import cached as cached_things
from robotrain_runtime.cached import Entry

from robotrain import folders
from robotrain.amounts import size
from robotrain.health import Finding, Fix, ok, warn

SECONDS = 1.5
"""How long is counted: a cache on a slow disk is told as `at least`."""
LONG = 30 * 24 * 3600


def cached() -> Iterator[Finding]:
    """The environments and data that are kept for further runs."""
    found = cached_things.entries(folders.cache(), until=time.monotonic() + SECONDS)
    for entry in found:
        if not entry.complete and not entry.busy:
            fix = Fix(f"remove {entry.path}", partial(_remove, entry))
            yield warn(
                f"{entry.name} was left incomplete ({_sizes([entry])}); it is made again when it is needed", fix=fix
            )
    kept = [entry for entry in found if entry.complete]
    if not kept:
        yield ok("nothing is kept yet: the first run builds its environment")
        return
    busy = sum(entry.busy for entry in kept)
    text = f"{len(kept)} kept, {_sizes(kept)}" + (f", {busy} in use" if busy else "")
    idle = cached_things.going(kept, unused=LONG, limit=None, now=time.time())
    if idle:
        text += (
            f"; {len(idle)} not used for a month ({_sizes(idle)}): `robotrain cache --prune --unused 30d` removes them"
        )
    yield ok(text)


def _sizes(entries: Sequence[Entry]) -> str:
    whole = all(entry.held.whole for entry in entries)
    return ("" if whole else "at least ") + size(sum(entry.held.size for entry in entries))


def _remove(entry: Entry) -> str:
    if cached_things.remove(entry):
        return f"removed, {size(entry.held.alone)} free again"
    return "left alone: a run took it up meanwhile"
