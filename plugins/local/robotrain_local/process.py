"""Processes and hosts: which processes belong to a run, whether they are alive, and on which machine.

Two machines may share the run's folder. So may two containers of one machine, which share a kernel but have separate
process ids.
"""

import binascii
import contextlib
import functools
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from robotrain_runtime.contract.document import convert_fields

NAMESPACE_LINK, BOOT_ID_FILE = Path("/proc/self/ns/pid"), Path("/proc/sys/kernel/random/boot_id")
MACHINE_NAMESPACE = "pid:[4026531836]"
"""The PID namespace outside all containers; the kernel fixes its number."""
MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


@dataclass(frozen=True)
class Host:
    """A machine or container. Facts that the system does not report are empty."""

    name: str = ""
    """The output of `hostname`."""
    machine: str = ""
    """An id that survives a restart."""
    boot: str = ""
    """An id of the kernel since its start."""
    namespace: str = ""
    """The PID namespace."""

    @property
    def is_here(self) -> bool:
        """Whether this process can see the host's processes. An unknown host counts as this one."""
        if self.has_same_kernel:
            return self.namespace == get_host().namespace
        # a different kernel: the same machine after a restart
        return not self.name or (self.name, self.machine) == (get_host().name, get_host().machine)

    @property
    def location(self) -> str:
        """The host as a phrase for messages on another host."""
        if not self.has_same_kernel:
            return f"on {self.name}"
        return f"in the container {self.name}" if self.is_container else f"on {self.name}, outside this container"

    @property
    def is_container(self) -> bool:
        """Whether it is a container with its own process ids."""
        return self.namespace not in ("", MACHINE_NAMESPACE)

    @property
    def has_same_kernel(self) -> bool:
        """Whether it is this kernel since the same start, so that its file locks are visible here."""
        return self.boot == get_host().boot != ""


def parse_host(data: Mapping[str, Any] | None) -> Host:
    """Return the host of a `dataclasses.asdict` mapping, or an unknown one if the mapping is invalid."""
    try:
        return Host(**{name: str(value) for name, value in (data or {}).items()})
    except (TypeError, AttributeError):
        return Host()


@functools.cache
def get_host() -> Host:
    """Return the machine or container of this process."""
    machine_id = next((text for path in MACHINE_ID_FILES if (text := _read_text(path))), "")
    machine = machine_id and f"{binascii.crc32(machine_id.encode()):08x}"  # the id itself is confidential
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = os.readlink(NAMESPACE_LINK)
    return Host(os.uname().nodename, machine, _read_boot_id(), namespace)


def _read_boot_id() -> str:
    if text := _read_text(BOOT_ID_FILE):
        return text
    try:  # macOS
        done = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


POLL_SECONDS = 0.05
TERMINATED_EXIT_CODE = 128 + signal.SIGTERM
KILLED_EXIT_CODE = 128 + signal.SIGKILL
MARK_VARIABLE = "ROBOTRAIN_LOCAL_RUN"
"""Variable in the environment of every process of a run; its value is the supervisor's mark."""


@dataclass(frozen=True)
class Process:
    """A process. Its properties are meaningful only on its own host."""

    pid: int
    birth: str
    """Start time of the process, which distinguishes it from a later one with the same pid."""
    started: float
    """Seconds since the epoch."""
    host: Host = field(default_factory=get_host)

    @property
    def is_alive(self) -> bool:
        """Whether this process runs."""
        birth = get_birth(self.pid)
        if not birth:  # an ended child stays a zombie until it is waited for
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
        return birth == self.birth != "" and self.host.is_here

    @property
    def is_host_restarted(self) -> bool:
        """Whether its machine was restarted since, so that nothing of it is left."""
        return not {self.birth.partition("@")[2], self.host.boot} <= {"", get_host().boot}

    def make_mark(self, folder: Path) -> str:
        """Return the value of MARK_VARIABLE in the processes that it started for the run in a folder."""
        return f"{self.pid} {self.birth} {os.path.realpath(folder)}"

    def is_supervisor_of(self, folder: Path) -> bool:
        """Whether this process runs, and works in the folder of a run as a supervisor does: any file may name it."""
        if self.pid == os.getpid() or not self.is_alive:
            return self.is_alive
        with contextlib.suppress(psutil.Error, OSError):
            return os.path.samefile(psutil.Process(self.pid).cwd(), folder)
        return False


def identify_process(pid: int) -> Process:
    """Return the process that has `pid` now."""
    return Process(pid, get_birth(pid), time.time())


def parse_process(data: dict[str, Any] | None) -> Process | None:
    """Return the process of a `dataclasses.asdict` mapping, or None if the mapping is invalid."""
    if not data or "host" not in data:
        return None
    try:
        process = convert_fields(Process, data)
    except ValueError:
        return None
    return process if process.pid > 0 else None


def get_birth(pid: int) -> str:
    """Return when a process started, or "" if it has ended or is a zombie.

    It is in seconds since the machine's start, which another setting of the clock does not change, with the boot id.
    """
    try:
        process = psutil.Process(pid)
        has_ended = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        started = process.create_time() - psutil.boot_time()
    except psutil.NoSuchProcess:
        return ""
    return "" if has_ended else f"{started:.2f}@{get_host().boot}"


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
    ours = list_session(supervisor.pid)
    marked = _list_marked(supervisor.make_mark(folder))
    return sorted({*marked, *(ours if supervisor.is_supervisor_of(folder) or marked & {*ours} else ())})


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
    marked = set[int]()
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error):  # of another user, or ended
            if psutil.Process(pid).environ().get(MARK_VARIABLE) == mark and get_birth(pid):
                marked.add(pid)
    return marked


def _get_parent(pid: int) -> int:
    """Return the parent of a process, or 0 if it has ended."""
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return 0
