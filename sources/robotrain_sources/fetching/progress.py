"""How far a download is, as ordinary lines: at most one every few seconds, none for what is quickly done."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robotrain_sources.fetching.answer import Refused

SECONDS = 5.0
SPARE = 64 * 1024**2
UNITS = ("kB", "MB", "GB", "TB")


@contextmanager
def told(what: str, total: int, folder: Path) -> Iterator[None]:
    """Say now and then how many of `total` bytes lie below `folder`. Raises Refused when they do not fit there."""
    free = shutil.disk_usage(folder).free
    if free < total + SPARE:
        raise Refused(
            f"{what} takes {size(total)}, and {folder} has {size(free)} free: make room, or set ROBOTRAIN_CACHE"
        )
    print(f"fetching {what}: {size(total)}", flush=True)
    began, over = time.monotonic(), threading.Event()

    def watch() -> None:
        while not over.wait(SECONDS):
            print(f"fetching {what}: {size(_there(folder))} of {size(total)}", flush=True)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    print(f"fetched {what}: {size(total)} in {time.monotonic() - began:.1f} s", flush=True)


def size(count: float) -> str:
    """Bytes as people read them."""
    if count < 1000:
        return f"{count:.0f} bytes"
    power = min((len(f"{count:.0f}") - 1) // 3, len(UNITS))
    return f"{count / 1000**power:.1f} {UNITS[power - 1]}"


def _there(folder: Path) -> int:
    found = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                found += os.stat(os.path.join(path, name)).st_size
            except OSError:  # renamed a moment ago
                continue
    return found
