"""torchrun's agent on one of several nodes, which waits for five minutes for the agents of nodes that are not done."""

import re
import time
from collections.abc import Sequence
from pathlib import Path

RANK_VARIABLE = b"TORCHELASTIC_RUN_ID="
"""In the environment of each process that torchrun starts for the program."""
FAILURE = re.compile(r"\bfailed \(exitcode: (-?\d+)\)")
"""What the agent prints once a process has failed."""
LOOK_SECONDS = 1.0


class LauncherWatch:
    """Says when all processes have ended that the agent started.

    :param agent: its process id.
    """

    def __init__(self, agent: int) -> None:
        self._agent = agent
        self._has_started = self._have_ended = False
        self._look_at = 0.0

    def have_ranks_ended(self) -> bool:
        """Return whether it had processes, and has none any more."""
        if not self._have_ended and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_SECONDS
            is_running = any(map(_is_rank, _list_children(self._agent)))
            self._have_ended = self._has_started and not is_running
            self._has_started |= is_running
        return self._have_ended


def find_failure(output: Sequence[str]) -> int:
    """Return the exit code of the process that failed, by what the agent printed; 0 for none."""
    return next((int(found[1]) for line in reversed(output) if (found := FAILURE.search(line))), 0)


def _list_children(process: int) -> list[str]:
    """Return the ids of the child processes of one, which may have ended."""
    found: list[str] = []
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += thread.read_text().split()
        except OSError:  # the thread has ended
            continue
    return found


def _is_rank(process: str) -> bool:
    try:
        return RANK_VARIABLE in Path(f"/proc/{process}/environ").read_bytes()
    except OSError:
        return False
