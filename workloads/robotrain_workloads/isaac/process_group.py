"""The processes of `isaaclab.sh`, signalled and awaited as a group, and the file that its program reports to."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from robotrain_workloads.isaac import installation

PR_SET_CHILD_SUBREAPER = 36
STOPPED_STATUS = 128 + signal.SIGTERM
SAVE_SECONDS = 20.0
"""How long the processes may take to end after a stop."""
CLOSE_SECONDS = 60.0
"""How long the simulator may take to close after the work."""
POLL_SECONDS = 0.25


class ProcessGroup:
    """The processes of `isaaclab.sh`. The shell ends at once when it is signalled, and Python as its orphan later.

    `ranks`: how many of them train together.
    """

    def __init__(self, command: Sequence[str], folder: Path, ranks: int = 1) -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphans are reaped here
        self._process = subprocess.Popen(
            command, cwd=folder, env=installation.make_environ(ranks), stdin=subprocess.DEVNULL, start_new_session=True
        )

    @property
    def exit_code(self) -> int | None:
        """The exit code of `isaaclab.sh`; None while it runs."""
        return self._process.poll()

    def is_running(self) -> bool:
        """Return whether a process of the group is left."""
        if self._process.poll() is None:
            return True
        with suppress(ChildProcessError):
            while os.waitpid(-self._process.pid, os.WNOHANG)[0]:
                pass
        return self.send(0)

    def send(self, number: int) -> bool:
        """Send a signal to all processes; return whether there was one."""
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


class GroupFollower:
    """Waits for the processes of a group, and passes a stop on to all of them; a second one kills them."""

    def __init__(self, group: ProcessGroup) -> None:
        self.group = group
        self.is_stopped = False
        self._kill_at: float | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle_stop)

    def run(self, read: Callable[[], bool] = lambda: False) -> None:
        """Call `read`, which returns whether the work is done, until all processes have ended, and then once more."""
        while self.group.is_running():
            if read() and self._kill_at is None:
                self._kill_at = time.monotonic() + CLOSE_SECONDS
            if self._kill_at is not None and time.monotonic() > self._kill_at:
                self.group.send(signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        read()

    def _handle_stop(self, number: int, frame: FrameType | None) -> None:
        self._kill_at = time.monotonic() + (0.0 if self.is_stopped else SAVE_SECONDS)
        if not self.is_stopped:
            self.is_stopped = True
            self.group.send(signal.SIGTERM)


class ReportReader:
    """Reads the reports that were added since, a line of JSON each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read_new(self) -> Iterator[dict[str, Any]]:
        """Yield the new reports whose line is complete."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return
        complete = content[: content.rfind(b"\n") + 1]
        self._offset += len(complete)
        yield from map(json.loads, complete.decode().splitlines())
