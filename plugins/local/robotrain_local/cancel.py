"""Stopping a run: gently first, so that it can save what it has, then for certain."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from robotrain_local import folder as files
from robotrain_local import process, spec, state
from robotrain_local.process import Process

STARTING_SECONDS = 2.0
MARGIN_SECONDS = 5.0


def cancel(folder: Path) -> None:
    """End the run and return when it has ended; one that ended already is left as it is."""
    if _over(folder):
        return
    asked_before = (folder / files.CANCEL).exists()
    files.write(folder / files.CANCEL, {"asked": time.time()})  # first: a supervisor that only now starts looks for it
    _until(lambda: _supervisor(folder) is not None, STARTING_SECONDS)
    supervisor = _supervisor(folder)
    if supervisor is None:
        return files.end(folder, process.TERMINATED, "cancelled before it started")
    if not asked_before:  # a second signal would cut short what the first one lets the run save
        process.send([supervisor.pid] if supervisor.alive else state.left_behind(supervisor), signal.SIGTERM)
    in_time = _until(lambda: _over(folder), _grace(folder) + MARGIN_SECONDS)
    if not in_time:
        process.send(state.left_behind(supervisor), signal.SIGKILL)
    _until(lambda: not state.left_behind(supervisor), MARGIN_SECONDS)
    files.end(folder, process.TERMINATED if in_time else process.KILLED)


def _over(folder: Path) -> bool:
    return state.of(folder).finished


def _supervisor(folder: Path) -> Process | None:
    return process.of(files.read(folder / files.SUPERVISOR))


def _grace(folder: Path) -> float:
    return spec.load((folder / spec.FILE).read_bytes()).grace_seconds


def _until(there: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            return False
        time.sleep(process.POLL)
    return True
