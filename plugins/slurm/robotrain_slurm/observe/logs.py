"""The log of a run: what its batch script printed before the runtime began, then the log of all its attempts."""

import time
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.model.run import Reference, RunGone, Status
from robotrain.run_folder import log
from robotrain.run_folder.log import LogReader
from robotrain.run_folder.status import require_run_folder

from robotrain_slurm.observe.query import query_status
from robotrain_slurm.observe.step_references import select_step
from robotrain_slurm.spec.render import OUTPUT_FILE

PREFIX = "[slurm] "
"""Of lines that the log of the run does not have: the batch script's, and why the run waits."""
SLURM_LINE = f"{PREFIX}slurmstepd"
QUERY_SECONDS = 5.0
"""Between two looks at Slurm: each costs its controller a request."""
END_QUERY_SECONDS = 1.0
"""The same once the run has recorded its outcome."""


def read_logs(reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
    """Yield the lines of the log. Raise RunGone."""
    folder = require_run_folder(select_step(reference))
    return follow_log(reference, folder, tail) if follow else read_present_lines(folder, tail)


def read_present_lines(folder: Path, tail: int | None) -> Iterator[str]:
    """Yield the lines that are there, or the last ones.

    What Slurm adds when it ends a job comes last, unless the run went on since.
    """
    main, batch = LogReader(folder / log.LOG_FILE, tail), LogReader(folder / OUTPUT_FILE, tail)
    printed = [PREFIX + line for line in chain(batch.read_lines(), batch.read_rest())]
    went_on = get_modified(folder / log.LOG_FILE) > get_modified(folder / OUTPUT_FILE)
    after = [line for line in printed if line.startswith(SLURM_LINE) and not went_on]
    before = [line for line in printed if line not in after]
    lines = chain(before, main.read_lines(), main.read_rest(), after)
    return lines if tail is None else iter(deque(lines, maxlen=tail))


def get_modified(file: Path) -> float:
    """Return when a file was modified; 0 if there is none."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def follow_log(reference: Reference, folder: Path, tail: int | None) -> Iterator[str]:
    """Yield the lines until the run ends, over all its attempts, and why it waits before each."""
    main, batch = LogReader(folder / log.LOG_FILE, tail), LogReader(folder / OUTPUT_FILE, tail)
    present = chain((PREFIX + line for line in batch.read_lines()), main.read_lines())
    yield from present if tail is None else deque(present, maxlen=tail)
    watcher = _StatusWatcher(reference, folder)
    while True:
        status = watcher.query()  # before reading, so that the last lines are read
        for line in batch.read_lines():
            yield PREFIX + line
        yield from main.read_lines()
        if status and status.finished:
            yield from main.read_rest()
            return
        if status and (reason := watcher.find_new_reason(status)):
            yield f"{PREFIX}waiting: {reason}"
        time.sleep(log.POLL_SECONDS)


class _StatusWatcher:
    """Asks for the status of a run now and then, at once when it has recorded its outcome."""

    def __init__(self, reference: Reference, folder: Path) -> None:
        self._reference, self._outcome = reference, folder / log.OUTCOME_FILE
        self._next = 0.0
        self._reason = ""

    def query(self) -> Status | None:
        """Return the status, or None when it is not due or Slurm does not answer now. Raise RunGone, Rejected."""
        now, has_outcome = time.monotonic(), self._outcome.exists()
        if now < self._next - (QUERY_SECONDS - END_QUERY_SECONDS if has_outcome else 0.0):
            return None
        self._next = now + QUERY_SECONDS
        try:
            return query_status(self._reference)
        except RunGone:
            raise
        except Rejected as rejected:
            if not rejected.transient:
                raise
            return None

    def find_new_reason(self, status: Status) -> str:
        """Return why a run waits, if that has changed."""
        reason = status.reason if status.state == "pending" else ""
        is_new = reason != self._reason
        self._reason = reason
        return reason if is_new else ""
