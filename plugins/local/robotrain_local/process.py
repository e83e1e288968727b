"""A process that a file names: on which machine, and whether it is alive.

Two machines may share the run's folder. So may two containers of one machine, which share a kernel but have separate
process ids.
"""

import binascii
import contextlib
import functools
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.json_values import convert_fields

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


@functools.cache
def get_host() -> Host:
    """Return the machine or container of this process."""
    machine_id = next((machine_id_text for path in MACHINE_ID_FILES if (machine_id_text := _read_text(path))), "")
    machine = machine_id and f"{binascii.crc32(machine_id.encode()):08x}"  # the id itself is confidential
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = os.readlink(NAMESPACE_LINK)
    return Host(os.uname().nodename, machine, _read_boot_id(), namespace)


def _read_boot_id() -> str:
    if boot_id := _read_text(BOOT_ID_FILE):
        return boot_id
    try:  # macOS
        result = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return result.stdout.strip()


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
    def is_host_restarted(self) -> bool:
        """Whether its machine was restarted since, so that nothing of it is left."""
        return not {self.birth.partition("@")[2], self.host.boot} <= {"", get_host().boot}

    def make_mark(self, folder: Path) -> str:
        """Return the value of MARK_VARIABLE in the processes that it started for the run in a folder."""
        return f"{self.pid} {self.birth} {os.path.realpath(folder)}"


def parse_process(process_fields: dict[str, Any] | None) -> Process | None:
    """Return the process of a `dataclasses.asdict` mapping, or None if the mapping is invalid."""
    if not process_fields or "host" not in process_fields:
        return None
    try:
        process = convert_fields(Process, process_fields)
    except ValueError:
        return None
    return process if process.pid > 0 else None
