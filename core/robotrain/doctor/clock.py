"""Health check of this machine's clock, by which runs are ordered."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress

from robotrain_runtime.machine import disk_cache

from robotrain.errors import Rejected, Suggestion
from robotrain.model.amounts import format_time
from robotrain.model.health import (
    HealthResult,
    report_ok,
    report_warning,
)
from robotrain.store import files, records

MAX_SKEW_SECONDS = 10.0
EARLIEST_TIME = 1_760_000_000.0
"""October 2025: an earlier time is wrong."""
SET_CLOCK = Suggestion("timedatectl set-ntp true", "or set the clock otherwise")


def check_clock() -> Iterator[HealthResult]:
    """Compare the clock with this program's age, the newest record, and the clock of the state folder's disk."""
    now, newest_time = time.time(), 0.0
    if run := next(records.iterate_runs(), None):
        with suppress(Rejected):
            newest_time = records.read_record(run).created
    skew = _measure_disk_skew()
    if now < EARLIEST_TIME:
        yield report_warning(f"it shows {format_time(now)}, before this program was written", SET_CLOCK)
    elif now < newest_time - MAX_SKEW_SECONDS:
        text = f"it shows {format_time(now)}, but the newest run was recorded {format_time(newest_time)}"
        yield report_warning(text, SET_CLOCK)
    elif abs(skew) > MAX_SKEW_SECONDS:
        text = f"the disk of {files.get_state_folder()} is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
        yield report_warning(f"{text}: the order of runs from several machines may be wrong", SET_CLOCK)
    else:
        yield report_ok(format_time(now))


def _measure_disk_skew() -> float:
    """Return how many seconds the clock of the state folder's disk is ahead; 0 if it cannot be written."""
    folder = files.get_state_folder()
    if disk_cache.find_existing_parent(folder) != folder:
        return 0.0
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b" ")
            file.flush()
            return os.fstat(file.fileno()).st_mtime - time.time()
    except OSError:
        return 0.0
