"""Processes and hosts: which processes belong to a run, whether they live, and on which machine.

Two machines may share the run's folder, and so may two containers of one machine, which have the same kernel but number
their processes each by themselves.
"""

import binascii
import contextlib
import functools
import os
import signal
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROC_FOLDER = Path("/proc")
MACHINE_NAMESPACE = "pid:[4026531836]"
"""The namespace of a machine's own processes: the kernel gives it this number."""
MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


@dataclass(frozen=True, slots=True)
class Host:
    """name: as `hostname` says it. machine: an id that outlives a restart. boot: an id of the kernel since its start.

    namespace: in which its processes have their numbers. Each is empty where the system does not tell.
    """

    name: str = ""
    machine: str = ""
    boot: str = ""
    namespace: str = ""

    @property
    def is_here(self) -> bool:
        """Whether its processes would be seen from this process, if they run. An unknown host is taken for this one."""
        if self.has_same_kernel:
            return self.namespace == get_host().namespace
        return not self.name or (self.name, self.machine) == (
            get_host().name,
            get_host().machine,
        )  # started again since

    @property
    def location(self) -> str:
        """Where that is, for somebody who is not there."""
        if not self.has_same_kernel:
            return f"on {self.name}"
        return f"in the container {self.name}" if self.is_container else f"on {self.name}, outside this container"

    @property
    def is_container(self) -> bool:
        """Whether it is a container that numbers its processes by itself."""
        return self.namespace not in ("", MACHINE_NAMESPACE)

    @property
    def has_same_kernel(self) -> bool:
        """Whether it is this kernel, without a restart in between: a lock that a process holds there is seen here."""
        return self.boot == get_host().boot != ""


def parse_host(data: Mapping[str, Any] | None) -> Host:
    """The host that `dataclasses.asdict` was taken of; an unknown one when it was not."""
    try:
        return Host(**{name: str(value) for name, value in (data or {}).items()})
    except (TypeError, AttributeError):
        return Host()


@functools.cache
def get_host() -> Host:
    """The machine, or the container, of this process."""
    return Host(os.uname().nodename, _read_machine_id(), _read_boot_id(), _read_namespace())


def _read_machine_id() -> str:
    """A checksum: the id itself is not meant to be told."""
    found = next((text for path in MACHINE_ID_FILES if (text := _read_text(path))), "")
    return found and f"{binascii.crc32(found.encode()):08x}"


def _read_boot_id() -> str:
    if PROC_FOLDER.joinpath("self/stat").exists():
        return _read_text(PROC_FOLDER / "sys/kernel/random/boot_id")
    import subprocess  # costs start-up

    try:  # macOS
        asked = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return asked.stdout.strip()


def _read_namespace() -> str:
    try:
        return os.readlink(PROC_FOLDER / "self/ns/pid")
    except OSError:
        return ""


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


PROC = Path("/proc")
POLL_SECONDS = 0.05
TERMINATED_EXIT_CODE = 128 + signal.SIGTERM
KILLED_EXIT_CODE = 128 + signal.SIGKILL
MARK_VARIABLE = "ROBOTRAIN_LOCAL_RUN"
"""What every process of a run has in its environment: the mark of its supervisor."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process. birth: what tells it from a later one of the same number. started: seconds since the epoch.

    Everything but these facts is about the machine it is asked on, and says nothing when that is not its host.
    """

    pid: int
    birth: str
    started: float
    host: Host = field(default_factory=get_host)

    @property
    def is_alive(self) -> bool:
        """Whether this very process runs."""
        now = get_birth(self.pid)
        if not now:  # a child of ours that ended stays a zombie until it is asked for
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
        return now == self.birth != "" and self.host.is_here

    @property
    def is_pid_reused(self) -> bool:
        """Whether another process has its number now."""
        return get_birth(self.pid) not in ("", self.birth)

    @property
    def is_host_restarted(self) -> bool:
        """Whether its machine was started again since, so that nothing of it can be left."""
        return not {self.birth.partition("@")[2], self.host.boot} <= {"", get_host().boot}

    @property
    def mark(self) -> str:
        """What the processes it started can be told by, also when it is gone."""
        return f"{self.pid} {self.birth}"


def identify_process(pid: int) -> Process:
    """The process `pid`, as of now."""
    return Process(pid, get_birth(pid), time.time())


def parse_process(data: dict[str, Any] | None) -> Process | None:
    """The process that `dataclasses.asdict` was taken of."""
    try:
        where = parse_host(data.get("host")) if data else Host()
        return Process(int(data["pid"]), str(data["birth"]), float(data["started"]), where) if data else None
    except (KeyError, TypeError, ValueError):
        return None


def get_birth(pid: int) -> str:
    """When the process began, in the kernel's words; empty when it is gone. A zombie is gone."""
    if not PROC.joinpath("self/stat").exists():
        return _get_birth_by_ps(pid)
    state, *fields = _read_stat(pid) or ["X"]
    boot = PROC.joinpath("sys/kernel/random/boot_id")
    return "" if state in "ZX" else f"{fields[18]}@{boot.read_text().strip() if boot.exists() else ''}"


def list_session(leader: int) -> list[int]:
    """The processes of the session that `leader` began, which may be gone itself."""
    return [pid for pid in _list_pids() if _get_session(pid) == leader and get_birth(pid)]


def list_run_processes(supervisor: Process) -> list[int]:
    """Every process of the run that `supervisor` watches over, it among them, also when it is gone.

    Its session, and those that left it. When it is gone its number may name a session of strangers: they lack the mark.
    """
    if supervisor.is_host_restarted or not supervisor.host.is_here:
        return []
    ours, marked = list_session(supervisor.pid), _list_marked(supervisor.mark)
    if marked is None:
        return [] if supervisor.is_pid_reused else ours
    return sorted({*marked, *(ours if supervisor.is_alive or marked & {*ours} else ())})


def find_heads(pids: Collection[int]) -> list[int]:
    """Those of `pids` that no other of them started: told to end, they end what they started."""
    return [pid for pid in pids if _get_parent(pid) not in pids]


def send_signal(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal each of `pids` that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _list_marked(mark: str) -> set[int] | None:
    """The processes with this mark; None where the environment of others cannot be read."""
    if not PROC.joinpath("self/environ").exists():
        return None
    wanted = f"{MARK_VARIABLE}={mark}".encode()
    return {pid for pid in _list_pids() if wanted in _read_environ(pid) and get_birth(pid)}


def _read_environ(pid: int) -> list[bytes]:
    try:
        return PROC.joinpath(str(pid), "environ").read_bytes().split(b"\0")
    except OSError:  # somebody else's, or gone
        return []


def _read_stat(pid: int) -> list[str] | None:
    """State, parent and so on; None when it is gone."""
    try:
        stat = PROC.joinpath(str(pid), "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat.rpartition(")")[2].split()  # the name before it may hold anything


def _get_parent(pid: int) -> int:
    if PROC.joinpath("self/stat").exists():
        return int((_read_stat(pid) or ["X", "0"])[1])
    return int(_run_ps("-o", "ppid=", "-p", str(pid)).strip() or 0)


def _list_pids() -> list[int]:
    if PROC.joinpath("self/stat").exists():
        return [int(entry) for entry in os.listdir(PROC) if entry.isdecimal()]
    return [int(pid) for pid in _run_ps("-A", "-o", "pid=").split()]


def _get_session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _get_birth_by_ps(pid: int) -> str:
    state, _, began = _run_ps("-o", "state=,lstart=", "-p", str(pid)).strip().partition(" ")
    return "" if state.startswith("Z") else began.strip()


def _run_ps(*arguments: str) -> str:
    """macOS has no /proc."""
    import subprocess  # costs start-up

    environ = os.environ | {"LC_ALL": "C", "TZ": "UTC"}
    return subprocess.run(["ps", *arguments], env=environ, capture_output=True, text=True, check=False).stdout
