"""Beginning a run that an engine may start more than once: one of its jobs does the work, the others do nothing."""

import os
import signal
from pathlib import Path

TAKEN = "taken"
"""A link in the run's folder to NAME:PROCESS of the job that does the work; it is made in one step."""
CANCELLED = "cancelled"
"""A file in the run's folder: a job that only now begins does nothing."""
STRAY = ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI")


def begin(folder: Path, name: str) -> str:
    """Take the work of `folder` for the job `name`; why there is nothing to do, or empty.

    A job that took it before goes on: its engine started it again. The process is then its own: no Ctrl-C for who
    started it reaches it, a SIGTERM does, and no tracking run of another project.
    """
    if os.getpgrp() != os.getpid():
        os.setsid()
    taker = _take(folder, name)
    if taker != name:
        return f"the job {taker} does the work of this run"
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # before looking: who cancels leaves the file, then signals
    for stray in STRAY:
        os.environ.pop(stray, None)
    return "the run was cancelled" if (folder / CANCELLED).exists() else ""


def log_to(path: Path) -> None:
    """Whatever this process and those it starts print goes to the end of `path` from here on."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _take(folder: Path, name: str) -> str:
    """The name of the job that has the work."""
    link = folder / TAKEN
    claim = f"{name}:{os.getpid()}"
    try:
        link.symlink_to(claim)
    except FileExistsError:
        taker = os.readlink(link).rpartition(":")[0]
        if taker == name:
            again = folder / f".{TAKEN}.{os.getpid()}"
            again.symlink_to(claim)
            again.replace(link)
        return taker
    return name
