"""Which job of a run does its work, where the runtime was started with `--once NAME`."""

import os
import signal
from pathlib import Path
from typing import NamedTuple

from robotrain.run import State

TAKEN = "taken"
CANCELLED = "cancelled"


class Taker(NamedTuple):
    """The job that took the run: its name as the engine knows it, and its process on the machine where it runs."""

    name: str
    process: int


def taker(folder: Path) -> Taker | None:
    """Who took the run of `folder`; None while nobody did."""
    try:
        name, _, process = os.readlink(folder / TAKEN).rpartition(":")
    except FileNotFoundError:
        return None
    return Taker(name, int(process))


def cancelled(folder: Path) -> bool:
    """Whether somebody asked for its end."""
    return (folder / CANCELLED).exists()


def word(folder: Path) -> State:
    """How the process of this machine is that took the run: pending while none did, lost when it is gone."""
    took = taker(folder)
    if took is None:
        return "pending"
    return "running" if _lives(took, folder) else "lost"


def stop(folder: Path) -> None:
    """Send SIGTERM to the process of this machine that took the run, if it lives."""
    took = taker(folder)
    if took and _lives(took, folder):
        os.kill(took.process, signal.SIGTERM)


def _lives(took: Taker, folder: Path) -> bool:
    """Whether it works in the run's folder: the number alone may by now be another's. Only Linux tells."""
    try:
        return os.path.samefile(f"/proc/{took.process}/cwd", folder)
    except OSError:  # it ended
        return False
