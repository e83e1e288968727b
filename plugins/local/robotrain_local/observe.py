"""The status of a run, from its folder and its processes, and how a run is cancelled."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.run import Reference, RunGone, Status
from robotrain.run_folder import log
from robotrain.run_folder.log import EVENTS_FILE

from robotrain_local import process, spec
from robotrain_local import spec as files
from robotrain_local.process import Host, Process

WAITING_REASON = "it has not started yet; if it stays so, its submit was interrupted: submit again"
CANCELLING_REASON = "it is being cancelled before it started; if it stays so, cancel it again"
ORPHANED_REASON = "its supervisor is gone, the work goes on"
STOPPED_REASON = "it was stopped before it could say how far it came"
RESTARTED_REASON = "the machine was restarted while it ran"
KILLED_REASON = "its process is gone without a word of how it ended: somebody killed it, or memory ran out"
CONTAINER_GONE_REASON = "its process is gone, and the container it ran in most likely with it"
START_INTERRUPTED_REASON = "its supervisor was killed as it began"
START_SECONDS = 10.0


def find_run_folder(reference: Reference) -> Path:
    """The run's folder. Raises RunGone."""
    folder = reference.get("folder", "")
    if not folder or not Path(folder).is_dir():
        raise RunGone(f"the run's folder {folder} is gone, and everything that was known of the run with it")
    return Path(folder)


def read_status(folder: Path) -> Status:
    """The state, and why. How a run ended is the runtime's own word wherever there is one."""
    supervisor = process.parse_process(files.read_json(folder / files.SUPERVISOR_FILE))
    alive = supervisor is not None and _is_supervisor_alive(
        folder, supervisor
    )  # before exit.json: an end in between is then seen
    if ended := files.read_json(folder / files.EXIT_FILE):
        return _read_ended_status(folder, supervisor.started if supervisor else None, ended)
    if supervisor is None:
        return _read_pending_status(folder)
    if alive:
        return Status(state="running", reason=_describe_remote_run(folder, supervisor.host), started=supervisor.started)
    if alive is None and log.read_outcome(folder) is None:
        return Status(state="running", reason=_describe_remote_run(folder, supervisor.host), started=supervisor.started)
    if process.list_run_processes(supervisor):
        return Status(state="running", reason=ORPHANED_REASON, started=supervisor.started)
    return _read_lost_status(folder, supervisor)


def _is_supervisor_alive(folder: Path, supervisor: Process) -> bool | None:
    """Whether the supervisor runs; None when this machine cannot know."""
    if supervisor.host.is_here:
        return supervisor.is_alive
    return files.is_locked(folder / files.SUPERVISOR_FILE) if supervisor.host.has_same_kernel else None


def _describe_remote_run(folder: Path, host: Host) -> str:
    """Why no more than this is known of a run that is elsewhere; empty when it is here."""
    if host.is_here:
        return ""
    if host.has_same_kernel:
        return f"it runs {host.location}; its processes cannot be seen from here"
    from robotrain.model.amounts import format_duration

    heard = measure_silence(folder)
    newest = f"its newest event is {format_duration(heard)} old" if heard is not None else "no event has come yet"
    return f"it runs {host.location}; this machine cannot look into it; {newest}"


def _read_pending_status(folder: Path) -> Status:
    marker = folder / files.SUPERVISOR_FILE
    if (folder / files.CANCEL_FILE).exists():
        return Status(state="pending", reason=CANCELLING_REASON)
    if not marker.exists() or time.time() - marker.stat().st_mtime < START_SECONDS or files.is_locked(marker):
        return Status(state="pending", reason=WAITING_REASON)
    return Status(state="lost", reason=START_INTERRUPTED_REASON)


def _read_ended_status(folder: Path, started: float | None, exit_record: dict[str, Any]) -> Status:
    code, ended = int(exit_record["exit_code"]), float(exit_record["ended"])
    if outcome := log.read_outcome(folder):
        reason = outcome.reason + (_describe_survivors(folder) if outcome.state == "cancelled" else "")
        return Status(state=outcome.state, reason=reason, exit_code=outcome.exit_code, started=started, ended=ended)
    cancelled = (folder / files.CANCEL_FILE).exists()
    return Status(
        state="cancelled" if cancelled else "failed",
        reason=exit_record.get("reason")
        or ((STOPPED_REASON if cancelled else _explain_exit_code(folder, code)) + _describe_survivors(folder)),
        exit_code=code,
        started=started,
        ended=ended,
    )


def _read_lost_status(folder: Path, supervisor: Process) -> Status:
    """Neither a process nor its exit: the runtime's own word, if it came so far."""
    started = supervisor.started
    if said := log.read_outcome(folder):
        return Status(state=said.state, reason=said.reason, exit_code=said.exit_code, started=started)
    if (folder / files.CANCEL_FILE).exists():
        return Status(state="cancelled", reason=STOPPED_REASON + _describe_survivors(folder), started=started)
    return Status(state="lost", reason=_explain_loss(supervisor) + _describe_survivors(folder), started=started)


def _explain_loss(supervisor: Process) -> str:
    if supervisor.is_host_restarted:
        return RESTARTED_REASON
    return KILLED_REASON if supervisor.host.is_here or not supervisor.host.is_container else CONTAINER_GONE_REASON


def _explain_exit_code(folder: Path, exit_code: int) -> str:
    if exit_code <= 128:
        words = spec.read_failure_reason(folder)
        return f"the runtime ended with exit code {exit_code}" + (f": {words}" if words else " and no word")
    hint = ": if nobody did that, memory ran out" if exit_code == process.KILLED_EXIT_CODE else ""
    return f"the runtime was killed by signal {exit_code - 128} ({_get_signal_name(exit_code - 128)}){hint}"


def _get_signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _describe_survivors(folder: Path) -> str:
    from robotrain.run_folder import outputs  # costs start-up

    return "".join(f". {sentence}" for sentence in outputs.describe_surviving_checkpoints(folder))


def measure_silence(folder: Path) -> float | None:
    """Seconds since the run told something; None when it never did."""
    try:
        return max(0.0, time.time() - (folder / EVENTS_FILE).stat().st_mtime)
    except OSError:
        return None


SUPERVISOR_START_SECONDS = 2.0
MARGIN_SECONDS = 5.0
HANDOVER_SECONDS = 2.0
"""Who is gone so soon after being told, and the run is not, was being killed: it has passed nothing on."""


def cancel_run(folder: Path) -> None:
    """End the run and return when it has ended; one that ended already is left as it is. Raises Rejected when it runs
    where no signal from here reaches it.
    """
    if _has_ended(folder):
        return
    supervisor = _read_supervisor(folder)
    if supervisor and not supervisor.host.is_here:
        raise Rejected([_make_remote_run_problem(folder, supervisor.host)])
    # first: a supervisor that only now starts looks for it
    asked_first = files.create_json(folder / files.CANCEL_FILE, {"asked": time.time()})
    _wait_until(lambda: (folder / files.SUPERVISOR_FILE).exists(), SUPERVISOR_START_SECONDS)
    supervisor = _read_supervisor(folder)
    if supervisor is None:
        return files.record_exit(folder, process.TERMINATED_EXIT_CODE, "cancelled before it started")
    _end_run(folder, supervisor, asked_first)


def _end_run(folder: Path, supervisor: Process, asked_first: bool) -> None:
    """Tell it to end, and end it when it takes longer than its grace."""
    told = {supervisor.pid} if supervisor.is_alive else set()
    process.send_signal(told, signal.SIGTERM)  # it passes the first one on, and no other
    if asked_first:  # a second signal would cut short what the first one lets the run save
        _signal_new_heads(folder, supervisor, told)
    in_time = _wait_until(lambda: _has_ended(folder), _read_grace(folder) + MARGIN_SECONDS)
    if in_time:  # whoever wrote that down is on the way out
        _wait_until(lambda: not process.list_run_processes(supervisor), HANDOVER_SECONDS)
    else:
        _wait_until(lambda: not _kill_processes(supervisor), MARGIN_SECONDS)
    files.record_exit(folder, process.TERMINATED_EXIT_CODE if in_time else process.KILLED_EXIT_CODE)


def _signal_new_heads(folder: Path, supervisor: Process, signaled: set[int]) -> None:
    """Tell whoever comes to stand at the head of the run because the one told before it was being killed."""
    until = time.monotonic() + HANDOVER_SECONDS
    while time.monotonic() < until and not _has_ended(folder):
        led = signaled and all(process.get_birth(pid) for pid in signaled)
        if not led and (fresh := {*process.find_heads(process.list_run_processes(supervisor))} - signaled):
            process.send_signal(fresh, signal.SIGTERM)
            signaled |= fresh
            until = time.monotonic() + HANDOVER_SECONDS
        time.sleep(process.POLL_SECONDS)


def _kill_processes(supervisor: Process) -> list[int]:
    """What there was to kill: looked at again until there is nothing, as it may fork meanwhile."""
    left = process.list_run_processes(supervisor)
    process.send_signal(left, signal.SIGKILL)
    return left


def _has_ended(folder: Path) -> bool:
    return read_status(folder).finished


def _read_supervisor(folder: Path) -> Process | None:
    return process.parse_process(files.read_json(folder / files.SUPERVISOR_FILE))


def _read_grace(folder: Path) -> float:
    return spec.parse_spec((folder / spec.SPEC_FILE).read_bytes()).grace_seconds


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(process.POLL_SECONDS)
    return True


def _make_remote_run_problem(folder: Path, host: Host) -> Problem:
    command = f"robotrain cancel {folder.name}"
    remote = Suggestion(command, "in that container" if host.is_container else "outside this container")
    return Problem(
        code="run-elsewhere",
        stage=Stage.SUBMIT,
        title=f"{folder.name} runs {host.location}, and is stopped there",
        why="No signal from here reaches its processes.",
        suggestions=(remote if host.has_same_kernel else Suggestion(f"ssh {host.name} {command}"),),
    )
