"""The status of a run, from the facts of its folder and its processes."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from robotrain.model.amounts import format_duration
from robotrain.model.reference import Reference
from robotrain.model.run import RunGone, Status
from robotrain.run_folder import file_names
from robotrain.run_folder.facts import FACT_FILES, FolderFacts, read_facts
from robotrain.run_folder.parts import JudgedRun
from robotrain.run_folder.run_end import get_run_status
from robotrain_runtime.contract import event, failure
from robotrain_runtime.contract.document_limits import MAX_RUN_FILE_BYTES
from robotrain_runtime.contract.files import is_locked

from robotrain_local import process, spec
from robotrain_local.process import Host, Process

WAITING_REASON = "it has not started yet; if this does not change, its submit was interrupted: submit again"
CANCELLING_REASON = "it is being cancelled before its start; if this does not change, cancel it again"
ORPHANED_REASON = "its supervisor is gone, but the work continues"
RESTARTED_REASON = "the machine was restarted while it ran"
KILLED_REASON = "its process disappeared: it was killed"
CONTAINER_GONE_REASON = "its process disappeared, probably with its container"
START_INTERRUPTED_REASON = "its supervisor was killed during start"
START_SECONDS = 10.0

LOG_BYTES = 1 << 14
"""Of the end of the log, in which the reason of a failure stands."""
LOCAL_FACT_FILES: Mapping[str, int] = {
    **FACT_FILES,
    spec.SUPERVISOR_FILE: MAX_RUN_FILE_BYTES,
    spec.EXIT_FILE: MAX_RUN_FILE_BYTES,
    file_names.EVENTS_FILE: 0,
    file_names.LOG_FILE: LOG_BYTES,
}
"""The files that the status of a run of this platform follows from."""


class SeenProcesses(NamedTuple):
    """What this machine sees of the processes of a run."""

    is_supervisor_alive: bool | None
    """None if it cannot be known here."""
    has_processes: bool
    """Whether any process of the run is there."""
    is_starting: bool
    """Whether a supervisor holds the file in which it is about to name itself."""


NO_PROCESSES = SeenProcesses(False, False, False)


def find_run_folder(reference: Reference) -> Path:
    """Return the run's folder. Raise RunGone if it is missing."""
    folder = reference.get("folder", "")
    if not folder or not Path(folder).is_dir():
        raise RunGone(f"the run's folder {folder} is gone; its status and outputs are lost")
    return Path(folder)


def read_status(folder: Path) -> Status:
    """Return the status of the run in a folder, without what is left of it. Raise OSError if there is no folder."""
    processes = find_processes(read_facts(folder, LOCAL_FACT_FILES))
    return judge_run(read_facts(folder, LOCAL_FACT_FILES), processes).status


def find_processes(facts: FolderFacts) -> SeenProcesses:
    """Return what is there of the processes of a run. The facts that it is judged by are read afterwards."""
    if spec.parse_exit(facts.read(spec.EXIT_FILE)):
        return NO_PROCESSES
    marker = facts.folder / spec.SUPERVISOR_FILE
    supervisor = read_supervisor(facts)
    if supervisor is None:
        return SeenProcesses(None, False, bool(is_locked(marker)))
    from robotrain_local import process_list  # costs start-up: most runs that are shown have ended

    if supervisor.host.is_here:
        is_alive: bool | None = process_list.is_alive(supervisor)
    else:
        is_alive = is_locked(marker) if supervisor.host.has_same_kernel else None
    has_processes = not is_alive and bool(process_list.list_run_processes(supervisor, facts.folder))
    return SeenProcesses(is_alive, has_processes, False)


def judge_run(facts: FolderFacts, processes: SeenProcesses) -> JudgedRun:
    """Return the status of a run. The runtime's own outcome takes precedence over exit codes. Pure but for the time."""
    supervisor = read_supervisor(facts)
    job = _judge_processes(facts, supervisor, processes)
    return JudgedRun(get_run_status(facts, job, "") if job.finished else job, facts.outcome)


def _judge_processes(facts: FolderFacts, supervisor: Process | None, processes: SeenProcesses) -> Status:
    """Return what the processes and their exit code say of a run."""
    started_at = supervisor.started if supervisor else None
    if exit_record := spec.parse_exit(facts.read(spec.EXIT_FILE)):
        reason = exit_record.reason or _explain_exit(facts, exit_record.exit_code)
        code, ended_at = exit_record.exit_code, exit_record.ended
        return Status(state="failed", reason=reason, exit_code=code, started=started_at, ended=ended_at)
    if supervisor is None:
        return _judge_start(facts, processes)
    is_alive = processes.is_supervisor_alive
    if is_alive or (is_alive is None and facts.outcome is None):
        return Status(state="running", reason=_describe_remote_run(facts, supervisor.host), started=started_at)
    if processes.has_processes:
        return Status(state="running", reason=ORPHANED_REASON, started=started_at)
    if facts.is_cancelled:
        return Status(state="cancelled", reason=failure.STOPPED_EARLY_REASON, started=started_at)
    reason = CONTAINER_GONE_REASON if supervisor.host.is_container and not supervisor.host.is_here else KILLED_REASON
    if supervisor.is_host_restarted:
        reason = RESTARTED_REASON
    return Status(state="lost", reason=reason, started=started_at)


def _judge_start(facts: FolderFacts, processes: SeenProcesses) -> Status:
    """Return the status of a run that no supervisor has begun."""
    if facts.is_cancelled:
        return Status(state="pending", reason=CANCELLING_REASON)
    marker = facts.files.get(spec.SUPERVISOR_FILE)
    if not marker or time.time() - marker.modified < START_SECONDS or processes.is_starting:
        return Status(state="pending", reason=WAITING_REASON)
    return Status(state="lost", reason=START_INTERRUPTED_REASON)


def _explain_exit(facts: FolderFacts, code: int) -> str:
    """Return why a run ended that recorded no outcome."""
    if facts.is_cancelled:
        return failure.STOPPED_EARLY_REASON
    if code > 128:
        return f"the runtime was killed by signal {code - 128} ({failure.get_signal_name(code - 128)})"
    logged = explain_log(facts)
    return f"the runtime ended with exit code {code}" + (f": {logged}" if logged else " and no message")


def explain_log(facts: FolderFacts) -> str:
    """Return the reason of a failure from the end of the log; empty for none."""
    log_lines = facts.read(file_names.LOG_FILE).decode(errors="replace").splitlines()
    return failure.explain_output([log_line for log_line in log_lines if not log_line.startswith(event.PREFIX)])


def _describe_remote_run(facts: FolderFacts, host: Host) -> str:
    """Return why little is known of a run on another host; empty if it runs here."""
    if host.is_here:
        return ""
    if host.has_same_kernel:
        return f"it runs {host.location}; its processes are not visible from here"
    newest_event = "it has sent no event"
    if events := facts.files.get(file_names.EVENTS_FILE):
        newest_event = f"its newest event is {format_duration(max(0.0, time.time() - events.modified))} old"
    return f"it runs {host.location}; its processes are not visible from this machine; {newest_event}"


def read_supervisor(facts: FolderFacts) -> Process | None:
    """Return the process that a run's folder names as its supervisor."""
    return process.parse_process(spec.parse_json(facts.read(spec.SUPERVISOR_FILE)))
