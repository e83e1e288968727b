"""How a run is, from what its folder holds and whether its process is there."""

import signal
from pathlib import Path
from typing import Any

from robotrain.run import Reference, RunGone, Status

from robotrain_local import folder as files
from robotrain_local import process, told
from robotrain_local.process import Process

WAITING = "it has not started yet; if it stays so, its submit was interrupted: cancel it and submit again"
ORPHANED = "its supervisor is gone, the work goes on"
STOPPED = "it was stopped before it could say how far it came"
CUT_OFF = "its process is gone without a word of how it ended: the machine was restarted, or somebody killed it"


def folder_of(reference: Reference) -> Path:
    """The run's folder. Raises RunGone."""
    folder = reference.get("folder", "")
    if not folder or not Path(folder).is_dir():
        raise RunGone(f"the run's folder {folder} is gone, and everything that was known of the run with it")
    return Path(folder)


def of(folder: Path) -> Status:
    """The state, and why. How a run ended is the runtime's own word wherever there is one."""
    supervisor = process.of(files.read(folder / files.SUPERVISOR))
    alive = supervisor is not None and supervisor.alive  # before exit.json is read: an end in between is then seen
    if ended := files.read(folder / files.EXIT):
        return _ended(folder, supervisor.started if supervisor else None, ended)
    if supervisor is None:
        return Status(state="pending", reason=WAITING)
    if alive:
        return Status(state="running", started=supervisor.started)
    if left_behind(supervisor):
        return Status(state="running", reason=ORPHANED, started=supervisor.started)
    return _gone(folder, supervisor.started)


def left_behind(supervisor: Process) -> list[int]:
    """The processes of the run, also when their supervisor is gone."""
    return [] if supervisor.reused else process.session(supervisor.pid)


def _ended(folder: Path, started: float | None, kept: dict[str, Any]) -> Status:
    code, ended = int(kept["exit_code"]), float(kept["ended"])
    if said := told.outcome(folder):
        reason = said.reason + (_survived(folder) if said.state == "cancelled" else "")
        return Status(state=said.state, reason=reason, exit_code=said.exit_code, started=started, ended=ended)
    cancelled = (folder / files.CANCEL).exists()
    return Status(
        state="cancelled" if cancelled else "failed",
        reason=kept.get("reason") or ((STOPPED if cancelled else _why(folder, code)) + _survived(folder)),
        exit_code=code,
        started=started,
        ended=ended,
    )


def _gone(folder: Path, started: float) -> Status:
    """Neither a process nor its exit: the runtime's own word, if it came so far."""
    if said := told.outcome(folder):
        return Status(state=said.state, reason=said.reason, exit_code=said.exit_code, started=started)
    if (folder / files.CANCEL).exists():
        return Status(state="cancelled", reason=STOPPED + _survived(folder), started=started)
    return Status(state="lost", reason=CUT_OFF + _survived(folder), started=started)


def _why(folder: Path, code: int) -> str:
    if code <= 128:
        words = told.last_words(folder)
        return f"the runtime ended with exit code {code}" + (f": {words}" if words else " and no word")
    hint = ": if nobody did that, memory ran out" if code == process.KILLED else ""
    return f"the runtime was killed by signal {code - 128} ({_name(code - 128)}){hint}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _survived(folder: Path) -> str:
    if kept := told.checkpoint(folder):
        return f". Its last checkpoint, of step {kept.step}, is at {kept.path}"
    return ". It left no checkpoint"
