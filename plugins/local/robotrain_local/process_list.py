"""The processes of this machine: which ones belong to a run, and signals to them."""

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil

from robotrain_local.process import MARK_VARIABLE, Process, get_host


def identify_process(pid: int) -> Process:
    """Return the process that has `pid` now."""
    return Process(pid, get_birth(pid), time.time())


def is_alive(process: Process) -> bool:
    """Return whether a process runs; one of another host is not seen."""
    birth = get_birth(process.pid)
    if not birth:  # an ended child stays a zombie until it is waited for
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
    return birth == process.birth != "" and process.host.is_here


def is_supervisor_of(process: Process, folder: Path) -> bool:
    """Return whether a process runs, and works in the folder of a run as a supervisor does: any file may name it."""
    if process.pid == os.getpid() or not is_alive(process):
        return is_alive(process)
    with contextlib.suppress(psutil.Error, OSError):
        return os.path.samefile(psutil.Process(process.pid).cwd(), folder)
    return False


def get_birth(pid: int) -> str:
    """Return when a process started, or "" if it has ended or is a zombie.

    It is in seconds since the machine's start, which another setting of the clock does not change, with the boot id.
    """
    try:
        process = psutil.Process(pid)
        has_ended = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        start_seconds = process.create_time() - psutil.boot_time()
    except psutil.NoSuchProcess:
        return ""
    return "" if has_ended else f"{start_seconds:.2f}@{get_host().boot}"


def list_session(leader: int) -> list[int]:
    """Return the processes of a session, whose leader may have ended."""
    members = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError):  # it has ended
            if os.getsid(pid) == leader and get_birth(pid):
                members.append(pid)
    return members


def list_run_processes(supervisor: Process, folder: Path) -> list[int]:
    """Return every process of the run in a folder, its supervisor included: its session and marked processes outside.

    After the supervisor has ended, its pid may name an unrelated session, whose processes lack the mark.
    """
    if supervisor.is_host_restarted or not supervisor.host.is_here:
        return []
    session_pids = list_session(supervisor.pid)
    marked_pids = _list_marked(supervisor.make_mark(folder))
    return sorted(
        {*marked_pids, *(session_pids if is_supervisor_of(supervisor, folder) or marked_pids & {*session_pids} else ())}
    )


def find_heads(pids: Collection[int]) -> list[int]:
    """Return the pids whose parent is not among them; they pass a signal on to their children."""
    return [pid for pid in pids if _get_parent(pid) not in pids]


def send_signal(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal each of `pids` that still exists."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _list_marked(mark: str) -> set[int]:
    """Return the processes with this mark."""
    marked_pids = set[int]()
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error):  # of another user, or ended
            if psutil.Process(pid).environ().get(MARK_VARIABLE) == mark and get_birth(pid):
                marked_pids.add(pid)
    return marked_pids


def _get_parent(pid: int) -> int:
    """Return the parent of a process, or 0 if it has ended."""
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return 0
