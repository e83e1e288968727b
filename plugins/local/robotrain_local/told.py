"""When a run was last heard of, and its last words. How it ended is in `robotrain.run_folder`."""

import os
import time
from pathlib import Path

from robotrain.run_folder.told import EVENTS
from robotrain_runtime import event, reason

from robotrain_local import folder as files

TAIL_BYTES = 1 << 14


def silence(folder: Path) -> float | None:
    """Seconds since the run told something; None when it never did."""
    try:
        return max(0.0, time.time() - (folder / EVENTS).stat().st_mtime)
    except OSError:
        return None


def last_words(folder: Path) -> str:
    """What the end of the log gives as the reason; empty when it says nothing."""
    try:
        with (folder / files.LOG).open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return reason.of_output([line for line in lines if not line.startswith(event.PREFIX)])
