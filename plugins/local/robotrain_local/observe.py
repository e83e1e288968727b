"""The status of a run, from its folder and its processes, and how a run is cancelled."""

import time
from collections.abc import Iterator
from pathlib import Path

from robotrain.messages import Messages
from robotrain.model.amounts import format_duration
from robotrain.model.reference import Reference
from robotrain.model.run import RunGone, Status
from robotrain.run_folder import ended_run, file_names, log, outputs
from robotrain.run_folder.file_names import EVENTS_FILE
from robotrain.store import ownership
from robotrain_runtime.contract import failure
from robotrain_runtime.contract.files import is_locked

from robotrain_local import process, spec
from robotrain_local.process import Host, Process

make_problem = Messages(__file__)

WAITING_REASON = "it has not started yet; if this does not change, its submit was interrupted: submit again"
CANCELLING_REASON = "it is being cancelled before its start; if this does not change, cancel it again"
ORPHANED_REASON = "its supervisor is gone, but the work continues"
STOPPED_REASON = "it was stopped before it reported a result"
RESTARTED_REASON = "the machine was restarted while it ran"
KILLED_REASON = "its process disappeared: it was killed"
CONTAINER_GONE_REASON = "its process disappeared, probably with its container"
START_INTERRUPTED_REASON = "its supervisor was killed during start"
START_SECONDS = 10.0


def find_run_folder(reference: Reference) -> Path:
    """Return the run's folder. Raise RunGone if it is missing."""
    folder = reference.get("folder", "")
    if not folder or not Path(folder).is_dir():
        raise RunGone(f"the run's folder {folder} is gone; its status and outputs are lost")
    return Path(folder)


def find_other_writer(reference: Reference) -> str:
    """Return how somebody else may have written the run's folder, in words; empty if nobody may. Raise RunGone."""
    folder = find_run_folder(reference)
    reason = ownership.find_other_writer(folder)
    return reason and f"{folder} {reason}"


def query_status(reference: Reference) -> Status:
    """Return the run's status. Raise RunGone if its folder is gone."""
    return read_status(find_run_folder(reference))


def read_logs(reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
    """Return the log so far, its last lines, or all of it until the run ends. Raise RunGone if it is gone."""
    folder = find_run_folder(reference)
    return log.read_log_lines(folder / file_names.LOG_FILE, lambda: not follow or read_status(folder).finished, tail)


def remove_run(reference: Reference, dry_run: bool = False) -> int | None:
    """Remove the run's folder unless `dry_run` is set. Return the bytes freed; None if it is another user's.

    Raise RunGone, Rejected if it stays.
    """
    folder = find_run_folder(reference)
    try:
        run = spec.read_spec(folder).run
    except (OSError, ValueError):
        run = ""
    return ended_run.remove_run_folder(folder, run, spec.SPEC_FILE, read_status(folder), dry_run)


def read_status(folder: Path) -> Status:
    """Return the state and its reason. The runtime's own outcome takes precedence over exit codes."""
    supervisor = read_supervisor(folder)
    if ended := spec.read_exit(folder):
        return _read_ended_status(folder, supervisor.started if supervisor else None, ended)
    from robotrain_local import process_list  # costs start-up: most runs that are shown have ended

    # before reading exit.json again: an end in between is then noticed
    alive: bool | None = False  # None: this machine cannot know
    if supervisor and supervisor.host.is_here:
        alive = process_list.is_alive(supervisor)
    elif supervisor:
        alive = is_locked(folder / spec.SUPERVISOR_FILE) if supervisor.host.has_same_kernel else None
    if ended := spec.read_exit(folder):
        return _read_ended_status(folder, supervisor.started if supervisor else None, ended)
    if supervisor is None:
        marker = folder / spec.SUPERVISOR_FILE
        if (folder / spec.CANCEL_FILE).exists():
            return Status(state="pending", reason=CANCELLING_REASON)
        if not marker.exists() or time.time() - marker.stat().st_mtime < START_SECONDS or is_locked(marker):
            return Status(state="pending", reason=WAITING_REASON)
        return Status(state="lost", reason=START_INTERRUPTED_REASON)
    if alive or (alive is None and log.read_outcome(folder) is None):
        return Status(state="running", reason=_describe_remote_run(folder, supervisor.host), started=supervisor.started)
    if process_list.list_run_processes(supervisor, folder):
        return Status(state="running", reason=ORPHANED_REASON, started=supervisor.started)
    return _read_lost_status(folder, supervisor)


def _describe_remote_run(folder: Path, host: Host) -> str:
    """Return why little is known of a run on another host, or \"\" if it runs here."""
    if host.is_here:
        return ""
    if host.has_same_kernel:
        return f"it runs {host.location}; its processes are not visible from here"
    try:
        silence = max(0.0, time.time() - (folder / EVENTS_FILE).stat().st_mtime)
        newest = f"its newest event is {format_duration(silence)} old"
    except OSError:
        newest = "it has sent no event"
    return f"it runs {host.location}; its processes are not visible from this machine; {newest}"


def _read_ended_status(folder: Path, started: float | None, exit_record: spec.ExitRecord) -> Status:
    code, ended = exit_record.exit_code, exit_record.ended
    if outcome := log.read_outcome(folder):
        because = outcome.reason + (_describe_survivors(folder) if outcome.state == "cancelled" else "")
        return Status(state=outcome.state, reason=because, exit_code=outcome.exit_code, started=started, ended=ended)
    cancelled = (folder / spec.CANCEL_FILE).exists()
    reason = exit_record.reason
    if not reason:
        if cancelled:
            reason = STOPPED_REASON
        elif code <= 128:
            logged = spec.read_failure_reason(folder)
            reason = f"the runtime ended with exit code {code}" + (f": {logged}" if logged else " and no message")
        else:
            reason = f"the runtime was killed by signal {code - 128} ({failure.get_signal_name(code - 128)})"
        reason += log.describe_damaged_outcome(folder) + _describe_survivors(folder)
    return Status(
        state="cancelled" if cancelled else "failed", reason=reason, exit_code=code, started=started, ended=ended
    )


def _read_lost_status(folder: Path, supervisor: Process) -> Status:
    started = supervisor.started
    if outcome := log.read_outcome(folder):
        return Status(state=outcome.state, reason=outcome.reason, exit_code=outcome.exit_code, started=started)
    if (folder / spec.CANCEL_FILE).exists():
        return Status(state="cancelled", reason=STOPPED_REASON + _describe_survivors(folder), started=started)
    reason = CONTAINER_GONE_REASON if supervisor.host.is_container and not supervisor.host.is_here else KILLED_REASON
    if supervisor.is_host_restarted:
        reason = RESTARTED_REASON
    reason += log.describe_damaged_outcome(folder) + _describe_survivors(folder)
    return Status(state="lost", reason=reason, started=started)


def _describe_survivors(folder: Path) -> str:
    return "".join(f". {sentence}" for sentence in outputs.describe_surviving_checkpoints(folder))


def read_supervisor(folder: Path) -> Process | None:
    """Return the process that a run's folder names as its supervisor."""
    return process.parse_process(spec.read_json(folder / spec.SUPERVISOR_FILE))
