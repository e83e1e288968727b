"""Stopping a run: gently first, so that it can save what it has, then for certain."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from robotrain.problem import Instead, Problem, Rejected, Stage

from robotrain_local import folder as files
from robotrain_local import process, spec, state
from robotrain_local.host import Host
from robotrain_local.process import Process

STARTING_SECONDS = 2.0
MARGIN_SECONDS = 5.0
DYING_SECONDS = 2.0
"""Who is gone so soon after being told, and the run is not, was being killed: it has passed nothing on."""


def cancel(folder: Path) -> None:
    """End the run and return when it has ended; one that ended already is left as it is. Raises Rejected when it runs
    where no signal from here reaches it.
    """
    if _over(folder):
        return
    supervisor = _supervisor(folder)
    if supervisor and not supervisor.host.here:
        raise Rejected([_elsewhere(folder, supervisor.host)])
    # first: a supervisor that only now starts looks for it
    asked_first = files.first(folder / files.CANCEL, {"asked": time.time()})
    _until(lambda: (folder / files.SUPERVISOR).exists(), STARTING_SECONDS)
    supervisor = _supervisor(folder)
    if supervisor is None:
        return files.end(folder, process.TERMINATED, "cancelled before it started")
    _end(folder, supervisor, asked_first)


def _end(folder: Path, supervisor: Process, asked_first: bool) -> None:
    """Tell it to end, and end it when it takes longer than its grace."""
    told = {supervisor.pid} if supervisor.alive else set()
    process.send(told, signal.SIGTERM)  # it passes the first one on, and no other
    if asked_first:  # a second signal would cut short what the first one lets the run save
        _tell(folder, supervisor, told)
    in_time = _until(lambda: _over(folder), _grace(folder) + MARGIN_SECONDS)
    if in_time:  # whoever wrote that down is on the way out
        _until(lambda: not process.of_run(supervisor), DYING_SECONDS)
    else:
        _until(lambda: not _killed(supervisor), MARGIN_SECONDS)
    files.end(folder, process.TERMINATED if in_time else process.KILLED)


def _tell(folder: Path, supervisor: Process, told: set[int]) -> None:
    """Tell whoever comes to stand at the head of the run because the one told before it was being killed."""
    until = time.monotonic() + DYING_SECONDS
    while time.monotonic() < until and not _over(folder):
        led = told and all(process.birth(pid) for pid in told)
        if not led and (fresh := {*process.heads(process.of_run(supervisor))} - told):
            process.send(fresh, signal.SIGTERM)
            told |= fresh
            until = time.monotonic() + DYING_SECONDS
        time.sleep(process.POLL)


def _killed(supervisor: Process) -> list[int]:
    """What there was to kill: looked at again until there is nothing, as it may fork meanwhile."""
    left = process.of_run(supervisor)
    process.send(left, signal.SIGKILL)
    return left


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


def _elsewhere(folder: Path, where: Host) -> Problem:
    command = f"robotrain cancel {folder.name}"
    remote = Instead(command, "in that container" if where.contained else "outside this container")
    return Problem(
        code="run-elsewhere",
        stage=Stage.SUBMIT,
        title=f"{folder.name} runs {where.place}, and is stopped there",
        why="No signal from here reaches its processes.",
        instead=(remote if where.kernel else Instead(f"ssh {where.name} {command}"),),
    )
