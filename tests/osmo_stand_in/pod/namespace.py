"""The processes of a container: those that see the disk as it does."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path


class Namespace:
    """A mount namespace, once its first process is in one. Held open until its end: the kernel gives the number of one
    that is gone to the next, which may be a container of another test.
    """

    def __init__(self) -> None:
        self._held = -1
        self._lock = threading.RLock()  # one thread may kill while another finds it ended

    @property
    def number(self) -> int | None:
        """By which the kernel knows it."""
        with self._lock:
            return os.fstat(self._held).st_ino if self._held >= 0 else None

    def look(self, pid: int) -> None:
        """Take that of the process, if it has one of its own by now."""
        if self._held >= 0:
            return
        with contextlib.suppress(OSError):
            descriptor = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
            if os.fstat(descriptor).st_ino == os.stat("/proc/self/ns/mnt").st_ino:
                os.close(descriptor)
            else:
                self._held = descriptor

    def sweep(self) -> None:
        """Kill all that is left in it."""
        with self._lock:
            number = self.number
            while number and (left := [pid for pid in os.listdir("/proc") if pid.isdecimal() and _of(pid) == number]):
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                time.sleep(0.01)

    def end(self) -> None:
        """Nothing is left in it, and it is let go."""
        with self._lock:
            self.sweep()
            if self._held >= 0:
                os.close(self._held)
                self._held = -1


def _of(pid: str) -> int:
    with contextlib.suppress(OSError):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] != "Z":
            return os.stat(f"/proc/{pid}/ns/mnt").st_ino
    return 0
