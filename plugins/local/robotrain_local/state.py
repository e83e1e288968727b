"""How a run is, from what its folder holds and whether its process is there."""

import signal
import time
from pathlib import Path
from typing import Any

from robotrain import run_folder
from robotrain.run import Reference, RunGone, Status

from robotrain_local import folder as files
from robotrain_local import process, told
from robotrain_local.host import Host
from robotrain_local.process import Process

WAITING = "it has not started yet; if it stays so, its submit was interrupted: submit again"
CANCELLING = "it is being cancelled before it started; if it stays so, cancel it again"
ORPHANED = "its supervisor is gone, the work goes on"
STOPPED = "it was stopped before it could say how far it came"
RESTARTED = "the machine was restarted while it ran"
KILLED = "its process is gone without a word of how it ended: somebody killed it, or memory ran out"
CONTAINER_GONE = "its process is gone, and the container it ran in most likely with it"
CUT_OFF = "its supervisor was killed as it began"
TORN_SECONDS = 10.0


def folder_of(reference: Reference) -> Path:
    """The run's folder. Raises RunGone."""
    folder = reference.get("folder", "")
    if not folder or not Path(folder).is_dir():
        raise RunGone(f"the run's folder {folder} is gone, and everything that was known of the run with it")
    return Path(folder)


def of(folder: Path) -> Status:
    """The state, and why. How a run ended is the runtime's own word wherever there is one."""
    supervisor = process.of(files.read(folder / files.SUPERVISOR))
    alive = supervisor is not None and _alive(folder, supervisor)  # before exit.json: an end in between is then seen
    if ended := files.read(folder / files.EXIT):
        return _ended(folder, supervisor.started if supervisor else None, ended)
    if supervisor is None:
        return _not_begun(folder)
    if alive:
        return Status(state="running", reason=_far(folder, supervisor.host), started=supervisor.started)
    if alive is None and run_folder.outcome(folder) is None:
        return Status(state="running", reason=_far(folder, supervisor.host), started=supervisor.started)
    if process.of_run(supervisor):
        return Status(state="running", reason=ORPHANED, started=supervisor.started)
    return _gone(folder, supervisor)


def _alive(folder: Path, supervisor: Process) -> bool | None:
    """Whether the supervisor runs; None when this machine cannot know."""
    if supervisor.host.here:
        return supervisor.alive
    return files.held(folder / files.SUPERVISOR) if supervisor.host.kernel else None


def _far(folder: Path, where: Host) -> str:
    """Why no more than this is known of a run that is elsewhere; empty when it is here."""
    if where.here:
        return ""
    if where.kernel:
        return f"it runs {where.place}; its processes cannot be seen from here"
    from robotrain.progress import duration

    heard = told.silence(folder)
    newest = f"its newest event is {duration(heard)} old" if heard is not None else "no event has come yet"
    return f"it runs {where.place}; this machine cannot look into it; {newest}"


def _not_begun(folder: Path) -> Status:
    marker = folder / files.SUPERVISOR
    if (folder / files.CANCEL).exists():
        return Status(state="pending", reason=CANCELLING)
    if not marker.exists() or time.time() - marker.stat().st_mtime < TORN_SECONDS or files.held(marker):
        return Status(state="pending", reason=WAITING)
    return Status(state="lost", reason=CUT_OFF)


def _ended(folder: Path, started: float | None, said: dict[str, Any]) -> Status:
    code, ended = int(said["exit_code"]), float(said["ended"])
    if outcome := run_folder.outcome(folder):
        reason = outcome.reason + (_survived(folder) if outcome.state == "cancelled" else "")
        return Status(state=outcome.state, reason=reason, exit_code=outcome.exit_code, started=started, ended=ended)
    cancelled = (folder / files.CANCEL).exists()
    return Status(
        state="cancelled" if cancelled else "failed",
        reason=said.get("reason") or ((STOPPED if cancelled else _why(folder, code)) + _survived(folder)),
        exit_code=code,
        started=started,
        ended=ended,
    )


def _gone(folder: Path, supervisor: Process) -> Status:
    """Neither a process nor its exit: the runtime's own word, if it came so far."""
    started = supervisor.started
    if said := run_folder.outcome(folder):
        return Status(state=said.state, reason=said.reason, exit_code=said.exit_code, started=started)
    if (folder / files.CANCEL).exists():
        return Status(state="cancelled", reason=STOPPED + _survived(folder), started=started)
    return Status(state="lost", reason=_lost(supervisor) + _survived(folder), started=started)


def _lost(supervisor: Process) -> str:
    if supervisor.restarted:
        return RESTARTED
    return KILLED if supervisor.host.here or not supervisor.host.contained else CONTAINER_GONE


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
    from robotrain.run_folder import kept  # costs start-up

    return "".join(f". {sentence}" for sentence in kept.survivors(folder))
