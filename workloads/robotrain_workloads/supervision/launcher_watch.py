"""torchrun's agent on one of several nodes, which waits for five minutes for the agents of nodes that are not done."""

import re
import time
from collections.abc import Sequence
from pathlib import Path

from robotrain_runtime.process.stop import is_alive, list_children

RANK_VARIABLE = b"TORCHELASTIC_RUN_ID="
"""In the environment of each process that torchrun starts for the program."""
FAILURE = re.compile(rb"\bfailed \(exitcode: (-?\d+)\)")
"""What the agent prints once a process has failed."""
LOOK_SECONDS = 1.0


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
            self._look_at = time.monotonic() + LOOK_SECONDS
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
