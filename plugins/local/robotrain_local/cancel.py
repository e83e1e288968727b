"""The end of a run that its user asks for: signals to its own processes, and to no others."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.reference import Reference
from robotrain.run_folder.facts import read_facts

from robotrain_local import process, process_list, spec
from robotrain_local.observe import LOCAL_FACT_FILES, find_run_folder, read_status, read_supervisor
from robotrain_local.process import Process

make_problem = Messages(__file__)

SUPERVISOR_START_SECONDS = 2.0
MARGIN_SECONDS = 5.0
EXIT_SECONDS = 1.0
"""A process that is being killed has no working directory any more, and is alive for a moment all the same."""
HANDOVER_SECONDS = 2.0
"""A process that ends so soon after SIGTERM, while its run goes on, was killed and passed no signal on."""


def cancel_run(reference: Reference) -> None:
    """End the run and wait until it has ended; do nothing if it has ended.

    Raise RunGone, or Rejected if it runs on another host, which signals do not reach, or its folder names a process of
    something else.
    """
    if read_status(folder := find_run_folder(reference)).finished:
        return
    supervisor = _find_supervisor(folder)
    if supervisor and not (host := supervisor.host).is_here:
        command = f"robotrain cancel {folder.name}"
        container_fix = Suggestion(command, "in that container" if host.is_container else "outside this container")
        fix = container_fix if host.has_same_kernel else Suggestion(f"ssh {host.name} {command}")
        raise Rejected([make_problem("run-elsewhere", fix, name=folder.name, location=host.location)])
    _require_own_process(folder, supervisor)
    # first: a supervisor that is just starting checks for this file
    is_first = spec.create_json(folder / spec.CANCEL_FILE, {"asked": time.time()})
    _wait_until(lambda: (folder / spec.SUPERVISOR_FILE).exists(), SUPERVISOR_START_SECONDS)
    _require_own_process(folder, supervisor := _find_supervisor(folder))
    if supervisor is None:
        return spec.record_exit(folder, process.TERMINATED_EXIT_CODE, "cancelled before it started")
    _end_run(folder, supervisor, is_first)


def _find_supervisor(folder: Path) -> Process | None:
    return read_supervisor(read_facts(folder, LOCAL_FACT_FILES))


def _require_own_process(folder: Path, supervisor: Process | None) -> None:
    """Raise Rejected if the supervisor that a folder names is a process of something else."""
    if supervisor is None or _wait_until(lambda: _has_ended_or_supervises(supervisor, folder), EXIT_SECONDS):
        return
    raise Rejected([make_problem("process-not-of-run", folder=folder, name=folder.name, pid=supervisor.pid)])


def _has_ended_or_supervises(supervisor: Process, folder: Path) -> bool:
    return not process_list.is_alive(supervisor) or process_list.is_supervisor_of(supervisor, folder)


def _end_run(folder: Path, supervisor: Process, is_first: bool) -> None:
    """Ask the run to end, and kill it after its grace period."""
    signaled_pids = {supervisor.pid} if process_list.is_supervisor_of(supervisor, folder) else set()
    process_list.send_signal(signaled_pids, signal.SIGTERM)  # the supervisor passes on only the first one
    if is_first:  # a second signal would interrupt the saving that the first one started
        _signal_new_heads(folder, supervisor, signaled_pids)
    grace_seconds = spec.read_spec(folder).grace_seconds
    in_time = _wait_until(lambda: read_status(folder).finished, grace_seconds + MARGIN_SECONDS)
    if in_time:  # the process that recorded the end is exiting
        _wait_until(lambda: not process_list.list_run_processes(supervisor, folder), HANDOVER_SECONDS)
    else:
        _wait_until(lambda: not _kill_processes(folder, supervisor), MARGIN_SECONDS)
    spec.record_exit(folder, process.TERMINATED_EXIT_CODE if in_time else process.KILLED_EXIT_CODE)


def _signal_new_heads(folder: Path, supervisor: Process, signaled_pids: set[int]) -> None:
    """Signal processes that become heads of the run because the signaled ones were killed."""
    deadline = time.monotonic() + HANDOVER_SECONDS
    while time.monotonic() < deadline and not read_status(folder).finished:
        is_led = signaled_pids and all(process_list.get_birth(pid) for pid in signaled_pids)
        members = [] if is_led else process_list.list_run_processes(supervisor, folder)
        if new_heads := {*process_list.find_heads(members)} - signaled_pids:
            process_list.send_signal(new_heads, signal.SIGTERM)
            signaled_pids |= new_heads
            deadline = time.monotonic() + HANDOVER_SECONDS
        time.sleep(process.POLL_SECONDS)


def _kill_processes(folder: Path, supervisor: Process) -> list[int]:
    """Kill the run's processes and return them; the caller repeats this because they may fork meanwhile."""
    pids = process_list.list_run_processes(supervisor, folder)
    process_list.send_signal(pids, signal.SIGKILL)
    return pids


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(process.POLL_SECONDS)
    return True
