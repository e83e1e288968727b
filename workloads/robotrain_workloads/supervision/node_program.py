"""A program of somebody else's on one of several nodes: followed to its end, which is reported to the starter.

The first node prints what its program prints. A line of another one begins with the node, so that a log tells them
apart and a metric counts once.
"""

import os
import re
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from robotrain_runtime.contract import claim, failure
from robotrain_runtime.contract.failure import count_oom_kills
from robotrain_runtime.process import child
from robotrain_runtime.process.stop import STOPPED_STATUS, ChildGroup, is_alive, list_children

from robotrain_workloads.nodes import node_group
from robotrain_workloads.nodes.node_group import JobNodes
from robotrain_workloads.supervision.output_pipe import MAX_LINE_BYTES, PIECE_BYTES, OutputSplitter
from robotrain_workloads.supervision.process_group import CLOSE_SECONDS, GroupFollower

OTHER_LINE = re.compile(rb"\[node \d+\] ")
"""How a line begins of a node that is not the first."""
MARGIN_SECONDS = 4.0
"""How much earlier than the run's work a node's program is killed after a stop."""


SILENT_SECONDS = 20.0
"""How long a program may show no sign of life once another node's has ended: it waits for that one."""
LOOK_SECONDS = 2.0
WORK_BYTES = 1 << 20
"""What a program writes that saves its work, and not one that waits."""


RANK_VARIABLE = b"TORCHELASTIC_RUN_ID="
"""In the environment of each process that torchrun starts for the program."""
FAILURE = re.compile(rb"\bfailed \(exitcode: (-?\d+)\)")
"""What the agent prints once a process has failed."""
LAUNCHER_LOOK_SECONDS = 1.0


class LauncherWatch:
    """Says when all processes have ended that the agent started, and how.

    :param agent: its process id.
    """

    def __init__(self, agent: int) -> None:
        self.status = 0
        """The exit code of the process that failed first, by what the agent printed; 0 for none."""
        self._agent = agent
        self._ranks: set[str] = set()
        """Those seen so far: a program may overwrite the environment by which one is known, with its title."""
        self._have_ended = False
        self._look_at = 0.0

    def have_ranks_ended(self) -> bool:
        """Return whether it had processes, and has none any more."""
        if not self._have_ended and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LAUNCHER_LOOK_SECONDS
            children = list_children(self._agent)
            self._ranks.update(filter(_is_rank, children))
            self._have_ended = bool(self._ranks) and not any(map(is_alive, self._ranks.intersection(children)))
        return self._have_ended

    def read_lines(self, lines: Sequence[bytes]) -> None:
        """Look for a failure in what the agent and its processes print."""
        for output_line in lines:
            if not self.status and (match := FAILURE.search(output_line)):
                self.status = int(match[1])


def _is_rank(process: str) -> bool:
    try:
        return RANK_VARIABLE in Path(f"/proc/{process}/environ").read_bytes()
    except OSError:
        return False


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
            written_bytes += int(
                dict(line.split(": ") for line in Path(f"/proc/{process}/io").read_text().splitlines())["wchar"]
            )
    return written_bytes


def follow_program(group: JobNodes, program: ChildGroup, launcher: LauncherWatch | None = None) -> int:
    """Follow the program of this node to its end, and report it; return the exit status of this process.

    :param program: with a pipe for its output.
    :param launcher: of a program that is torchrun, which is ended if it outlives its processes.
    """
    claim.start_watch()  # the process that started the nodes may be lost with its own
    follower = GroupFollower(program, max(1.0, child.get_grace_seconds() - MARGIN_SECONDS))
    output = NodeOutput(f"[node {group.rank}] " if group.rank else "", launcher)
    memory_kills = count_oom_kills()
    assert program.output is not None
    reader = child.start_reader(output.forward, program.output)
    abandoned_program = AbandonedProgram(group.ends, program.pid, output.count_lines)

    def look_for_stop() -> bool:
        if not follower.is_stopped and node_group.is_stop_requested(group.ends):
            os.kill(os.getpid(), signal.SIGTERM)
        elif not follower.is_stopped and abandoned_program.is_given_up():
            print(f"the program is stopped: it has waited for {SILENT_SECONDS:.0f} s for a node that ended", flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
        return launcher is not None and launcher.have_ranks_ended()

    follower.run(look_for_stop)
    reader.join(child.LAST_OUTPUT_SECONDS)
    status = program.exit_code or 0
    if launcher and status == -signal.SIGKILL and launcher.have_ranks_ended():
        print(f"torchrun is ended: it outlived its processes by {CLOSE_SECONDS:.0f} s", flush=True)
        status = launcher.status
    elif launcher and status and failure.is_outside_end(launcher.status):
        status = launcher.status  # torchrun itself ends with 1
    if follower.is_stopped:
        is_lead = group.rank == 0  # whether its work was saved is known there
        return node_group.report_stop(group, status if is_lead and status else STOPPED_STATUS, follower.stopped_at)
    is_out_of_memory = count_oom_kills() > memory_kills
    reason = failure.diagnose_exit(status, output.read_last(), is_out_of_memory).reason if status else ""
    node_group.report_end(group, status, reason)
    return status


class NodeOutput:
    """The output of a node's program on its way to the log, in whole lines, as those of all nodes meet there.

    :param prefix: what each line begins with; empty for none, then each state of a progress bar is passed on.
    :param launcher: what looks for a failure in the lines.
    """

    def __init__(self, prefix: str, launcher: LauncherWatch | None = None) -> None:
        self._prefix = prefix.encode()
        self._launcher = launcher
        self._splitter = OutputSplitter()
        self._held = b""
        """What came of the next line."""
        self._last: deque[bytes] = deque(maxlen=child.REMEMBERED_LINES)
        self._to = 1
        self._count = 0

    def forward(self, pipe: IO[bytes]) -> None:
        """Print what is read, to its end."""
        while piece := os.read(pipe.fileno(), PIECE_BYTES):
            self._print(piece, self._splitter.feed(piece))
        self._print(b"\n" if self._held else b"", self._splitter.flush())

    def count_lines(self) -> int:
        """Return how many lines were printed."""
        return self._count

    def read_last(self) -> list[str]:
        """Return the last lines, without the prefix."""
        return [last_line.decode(errors="replace") for last_line in self._last]

    def _print(self, piece: bytes, lines: list[bytes]) -> None:
        self._last.extend(lines)
        self._count += len(lines)
        if self._launcher:
            self._launcher.read_lines(lines)
        if self._prefix:
            output_bytes = b"".join(b"%b%b\n" % (self._prefix, line) for line in lines)
        else:
            output_bytes = self._take_whole(piece)
        remaining_bytes = memoryview(output_bytes)
        try:
            while remaining_bytes:
                remaining_bytes = remaining_bytes[os.write(self._to, remaining_bytes) :]
        except OSError:  # nobody reads it any more; the program goes on
            self._to = os.open(os.devnull, os.O_WRONLY)

    def _take_whole(self, piece: bytes) -> bytes:
        """Return what ends with a line of what has come; the rest waits for its end, unless it is very long."""
        held_bytes = self._held + piece
        last_line_end = max(held_bytes.rfind(b"\n"), held_bytes.rfind(b"\r")) + 1
        if len(held_bytes) - last_line_end > MAX_LINE_BYTES:
            last_line_end = len(held_bytes)
        self._held = held_bytes[last_line_end:]
        return held_bytes[:last_line_end]
