"""Processes: whether one still runs, and which belong to a run. A reused number is not taken for the old process."""

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain_local import host
from robotrain_local.host import Host

PROC = Path("/proc")
POLL = 0.05
TERMINATED = 128 + signal.SIGTERM
KILLED = 128 + signal.SIGKILL
MARK = "ROBOTRAIN_LOCAL_RUN"
"""What every process of a run has in its environment: the mark of its supervisor."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process. birth: what tells it from a later one of the same number. started: seconds since the epoch.

    Everything but these facts is about the machine it is asked on, and says nothing when that is not its host.
    """

    pid: int
    birth: str
    started: float
    host: Host = field(default_factory=host.this)

    @property
    def alive(self) -> bool:
        """Whether this very process runs."""
        now = birth(self.pid)
        if not now:  # a child of ours that ended stays a zombie until it is asked for
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
        return now == self.birth != "" and self.host.here

    @property
    def reused(self) -> bool:
        """Whether another process has its number now."""
        return birth(self.pid) not in ("", self.birth)

    @property
    def restarted(self) -> bool:
        """Whether its machine was started again since, so that nothing of it can be left."""
        return not {self.birth.partition("@")[2], self.host.boot} <= {"", host.this().boot}

    @property
    def mark(self) -> str:
        """What the processes it started can be told by, also when it is gone."""
        return f"{self.pid} {self.birth}"


def identify(pid: int) -> Process:
    """The process `pid`, as of now."""
    return Process(pid, birth(pid), time.time())


def of(data: dict[str, Any] | None) -> Process | None:
    """The process that `dataclasses.asdict` was taken of."""
    try:
        where = host.of(data.get("host")) if data else Host()
        return Process(int(data["pid"]), str(data["birth"]), float(data["started"]), where) if data else None
    except (KeyError, TypeError, ValueError):
        return None


def birth(pid: int) -> str:
    """When the process began, in the kernel's words; empty when it is gone. A zombie is gone."""
    if not PROC.joinpath("self/stat").exists():
        return _birth_by_ps(pid)
    state, *fields = _stat(pid) or ["X"]
    boot = PROC.joinpath("sys/kernel/random/boot_id")
    return "" if state in "ZX" else f"{fields[18]}@{boot.read_text().strip() if boot.exists() else ''}"


def session(leader: int) -> list[int]:
    """The processes of the session that `leader` began, which may be gone itself."""
    return [pid for pid in _pids() if _session_of(pid) == leader and birth(pid)]


def of_run(supervisor: Process) -> list[int]:
    """Every process of the run that `supervisor` watches over, it among them, also when it is gone.

    Its session, and those that left it. When it is gone its number may name a session of strangers: they lack the mark.
    """
    if supervisor.restarted or not supervisor.host.here:
        return []
    ours, marked = session(supervisor.pid), _marked(supervisor.mark)
    if marked is None:
        return [] if supervisor.reused else ours
    return sorted({*marked, *(ours if supervisor.alive or marked & {*ours} else ())})


def heads(pids: Collection[int]) -> list[int]:
    """Those of `pids` that no other of them started: told to end, they end what they started."""
    return [pid for pid in pids if _parent(pid) not in pids]


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal each of `pids` that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _marked(mark: str) -> set[int] | None:
    """The processes with this mark; None where the environment of others cannot be read."""
    if not PROC.joinpath("self/environ").exists():
        return None
    wanted = f"{MARK}={mark}".encode()
    return {pid for pid in _pids() if wanted in _environ(pid) and birth(pid)}


def _environ(pid: int) -> list[bytes]:
    try:
        return PROC.joinpath(str(pid), "environ").read_bytes().split(b"\0")
    except OSError:  # somebody else's, or gone
        return []


def _stat(pid: int) -> list[str] | None:
    """State, parent and so on; None when it is gone."""
    try:
        stat = PROC.joinpath(str(pid), "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat.rpartition(")")[2].split()  # the name before it may hold anything


def _parent(pid: int) -> int:
    if PROC.joinpath("self/stat").exists():
        return int((_stat(pid) or ["X", "0"])[1])
    return int(_ps("-o", "ppid=", "-p", str(pid)).strip() or 0)


def _pids() -> list[int]:
    if PROC.joinpath("self/stat").exists():
        return [int(entry) for entry in os.listdir(PROC) if entry.isdecimal()]
    return [int(pid) for pid in _ps("-A", "-o", "pid=").split()]


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _birth_by_ps(pid: int) -> str:
    state, _, began = _ps("-o", "state=,lstart=", "-p", str(pid)).strip().partition(" ")
    return "" if state.startswith("Z") else began.strip()


def _ps(*arguments: str) -> str:
    """macOS has no /proc."""
    import subprocess  # costs start-up

    environ = os.environ | {"LC_ALL": "C", "TZ": "UTC"}
    return subprocess.run(["ps", *arguments], env=environ, capture_output=True, text=True, check=False).stdout
