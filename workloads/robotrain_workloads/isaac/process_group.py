"""The processes of `isaaclab.sh`, signalled and awaited as a group, and the file that its program reports to."""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_workloads.isaac import installation

PR_SET_CHILD_SUBREAPER = 36


class ProcessGroup:
    """The processes of `isaaclab.sh`. The shell ends at once when it is signalled, and Python as its orphan later."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphans are reaped here
        self._process = subprocess.Popen(
            command, cwd=folder, env=installation.make_environ(), stdin=subprocess.DEVNULL, start_new_session=True
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
