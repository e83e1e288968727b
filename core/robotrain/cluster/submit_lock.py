"""A lock that the command of a submit inherits: it tells whether an earlier one still runs, and may submit yet."""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract.files import is_locked, lock_file

from robotrain.errors import Rejected, Suggestion, Unanswered, make_problem
from robotrain.store import records

PATIENCE_SECONDS = 330.0
"""How long `wait_until_free` waits for a command of an earlier submit."""


@dataclass(frozen=True)
class SubmitLock:
    """The lock of a platform, in the folder of each run's record."""

    file: str
    command: str
    """The engine's command, as it is named in messages."""
    code: str
    """The code of the problem that is reported while another command still runs."""
    search: Suggestion
    """How to find that command."""

    @contextlib.contextmanager
    def hold_for_run(self, run: str) -> Iterator[tuple[int, ...]]:
        """Hold the lock of a run. Yield its file descriptors, which child processes must inherit.

        There is none if the file system has no locks. Raise Unanswered if another command holds it.
        """
        path = self._get_path(run)
        with contextlib.ExitStack() as stack:
            handles: tuple[int, ...] = ()
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                stack.callback(os.close, handle)
                if not lock_file(handle):
                    title = f"{self.command} of an earlier submit is still running"
                    raise Unanswered([make_problem(self.code, title)])
                handles = (handle,)
            try:
                yield handles
            finally:
                with contextlib.suppress(OSError):
                    os.utime(path)  # nothing is sent after this time

    def wait_until_free(self, run: str) -> None:
        """Wait until no command can submit the run any more. Raise Rejected after PATIENCE_SECONDS."""
        path = self._get_path(run)
        if not is_locked(path):
            return
        print(f"waiting for {self.command} of an earlier submit", file=sys.stderr)
        with path.open("rb") as file:
            if lock_file(file.fileno(), fcntl.LOCK_SH, PATIENCE_SECONDS):
                return
        title, why = f"{self.command} of an earlier submit does not end", "While it runs, it may still submit the run."
        retry = Suggestion("the same command", "after its end; it finds out what was accepted")
        raise Rejected([make_problem(self.code, title, "", run, why, self.search, retry)])

    def get_age(self, run: str) -> float:
        """Return the seconds since the lock was released last; infinite if it never was."""
        try:
            return time.time() - self._get_path(run).stat().st_mtime
        except OSError:
            return float("inf")

    def _get_path(self, run: str) -> Path:
        return records.get_run_folder(run) / self.file
