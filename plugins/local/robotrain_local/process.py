"""Processes: whether one still runs, and which belong to a run. A reused number is not taken for the old process."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")
POLL = 0.05
TERMINATED = 128 + signal.SIGTERM
KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Process:
    """A process. birth: what tells it from a later one of the same number. started: seconds since the epoch."""

    pid: int
    birth: str
    started: float

    @property
    def alive(self) -> bool:
        """Whether this very process runs."""
        now = birth(self.pid)
        if not now:  # a child of ours that ended stays a zombie until it is asked for
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
        return now == self.birth != ""

    @property
    def reused(self) -> bool:
        """Whether another process has its number now."""
        return birth(self.pid) not in ("", self.birth)


def identify(pid: int) -> Process:
    """The process `pid`, as of now."""
    return Process(pid, birth(pid), time.time())


def of(data: dict[str, Any] | None) -> Process | None:
    """The process that `dataclasses.asdict` was taken of."""
    try:
        return Process(int(data["pid"]), str(data["birth"]), float(data["started"])) if data else None
    except (KeyError, TypeError, ValueError):
        return None


def birth(pid: int) -> str:
    """When the process began, in the kernel's words; empty when it is gone. A zombie is gone."""
    if not PROC.joinpath("self/stat").exists():
        return _birth_by_ps(pid)
    try:
        stat = PROC.joinpath(str(pid), "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state, *fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    boot = PROC.joinpath("sys/kernel/random/boot_id")
    return "" if state in "ZX" else f"{fields[18]}@{boot.read_text().strip() if boot.exists() else ''}"


def session(leader: int) -> list[int]:
    """The processes of the session that `leader` began, which may be gone itself."""
    return [pid for pid in _pids() if _session_of(pid) == leader and birth(pid)]


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal each of `pids` that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


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
    environ = os.environ | {"LC_ALL": "C", "TZ": "UTC"}
    return subprocess.run(["ps", *arguments], env=environ, capture_output=True, text=True, check=False).stdout
