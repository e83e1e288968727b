"""The clock: runs are ordered by it, and sign-ins are refused when it is wrong."""

import os
import tempfile
import time
from collections.abc import Iterator

from robotrain import disk, folders, store
from robotrain.health import Finding, ok, warn
from robotrain.problem import Instead, Rejected

SECONDS = 10.0
EARLIEST = 1_760_000_000.0
"""October 2025: this program is younger."""
SET = Instead("timedatectl set-ntp true", "or however this machine's clock is set")


def clock() -> Iterator[Finding]:
    """Against this program's age, the newest record, and the clock of the disk, which may be another machine's."""
    now = time.time()
    newest = _newest()
    skew = _skew()
    if now < EARLIEST:
        yield warn(f"it says {_day(now)}, before this program was written", SET)
    elif now < newest - SECONDS:
        yield warn(f"it says {_day(now)}, and the newest run was recorded {_day(newest)}", SET)
    elif abs(skew) > SECONDS:
        says = f"the disk of {folders.state()} is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
        yield warn(f"{says}: the order of runs from several machines is not certain", SET)
    else:
        yield ok(_day(now))


def _newest() -> float:
    run = next(store.newest(), None)
    try:
        return store.read(run).created if run else 0.0
    except Rejected:
        return 0.0


def _skew() -> float:
    """Seconds by which the clock of the state folder's disk is ahead; 0 where nothing can be written."""
    folder = folders.state()
    if disk.there(folder) != folder:
        return 0.0
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b" ")
            file.flush()
            return os.fstat(file.fileno()).st_mtime - time.time()
    except OSError:
        return 0.0


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(moment))
