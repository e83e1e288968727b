"""Which machine a run is on: its processes can be seen, and signalled, only there.

Two machines may share the run's folder, and so may two containers of one machine, which have the same kernel but number
their processes each by themselves.
"""

import binascii
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")
OUTERMOST = "pid:[4026531836]"
"""The namespace of a machine's own processes: the kernel gives it this number."""
MACHINE_ID = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


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
    def here(self) -> bool:
        """Whether its processes would be seen from this process, if they run. An unknown host is taken for this one."""
        if self.kernel:
            return self.namespace == this().namespace
        return not self.name or (self.name, self.machine) == (this().name, this().machine)  # started again since

    @property
    def place(self) -> str:
        """Where that is, for somebody who is not there."""
        if not self.kernel:
            return f"on {self.name}"
        return f"in the container {self.name}" if self.contained else f"on {self.name}, outside this container"

    @property
    def contained(self) -> bool:
        """Whether it is a container that numbers its processes by itself."""
        return self.namespace not in ("", OUTERMOST)

    @property
    def kernel(self) -> bool:
        """Whether it is this kernel, without a restart in between: a lock that a process holds there is seen here."""
        return self.boot == this().boot != ""


def of(data: Mapping[str, Any] | None) -> Host:
    """The host that `dataclasses.asdict` was taken of; an unknown one when it was not."""
    try:
        return Host(**{name: str(value) for name, value in (data or {}).items()})
    except (TypeError, AttributeError):
        return Host()


@functools.cache
def this() -> Host:
    """The machine, or the container, of this process."""
    return Host(os.uname().nodename, _machine(), _boot(), _namespace())


def _machine() -> str:
    """A checksum: the id itself is not meant to be told."""
    found = next((text for path in MACHINE_ID if (text := _text(path))), "")
    return found and f"{binascii.crc32(found.encode()):08x}"


def _boot() -> str:
    if PROC.joinpath("self/stat").exists():
        return _text(PROC / "sys/kernel/random/boot_id")
    import subprocess  # costs start-up

    try:  # macOS
        asked = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return asked.stdout.strip()


def _namespace() -> str:
    try:
        return os.readlink(PROC / "self/ns/pid")
    except OSError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
