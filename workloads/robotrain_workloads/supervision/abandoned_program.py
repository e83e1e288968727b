"""A node whose program waits for one that has ended: with 0, so that nobody takes it for a failure."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.process.stop import list_children

from robotrain_workloads.nodes import node_group

SILENT_SECONDS = 20.0
"""How long a program may show no sign of life once another node's has ended: it waits for that one."""
LOOK_SECONDS = 2.0
WORK_BYTES = 1 << 20
"""What a program writes that saves its work, and not one that waits."""


class AbandonedProgram:
    """Says when a program is left alone by another node.

    One that prints, or writes files, finishes its work: the first node often saves and evaluates after the others.

    :param ends: the folder for the ends of nodes; empty where there is none, and then nobody is.
    :param pid: the process of the program.
    :param count_lines: returns how many lines it has printed.
    """

    def __init__(self, ends: str, pid: int, count_lines: Callable[[], int]) -> None:
        self._ends, self._pid, self._count_lines = ends, pid, count_lines
        self._look_at, self._alone_since = 0.0, float("inf")
        self._lines = self._written = 0

    def is_given_up(self) -> bool:
        """Return whether the program has been silent for too long since another node's ended with 0."""
        now = time.monotonic()
        if self._ends and now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            if any(end.status == 0 for end in node_group.read_ends(Path(self._ends))):
                line_count = self._count_lines()
                written_bytes = _read_written_bytes(self._pid)
                if self._alone_since > now or line_count > self._lines or written_bytes - self._written >= WORK_BYTES:
                    self._alone_since, self._lines, self._written = now, line_count, written_bytes
        return now - self._alone_since > SILENT_SECONDS


def _read_written_bytes(pid: int) -> int:
    """Return the bytes that a process and those that it started have written."""
    written_bytes = 0
    for process in (str(pid), *list_children(pid)):
        with suppress(OSError, ValueError, IndexError):
            fields = dict(line.split(": ") for line in Path(f"/proc/{process}/io").read_text().splitlines())
            written_bytes += int(fields["wchar"])
    return written_bytes
