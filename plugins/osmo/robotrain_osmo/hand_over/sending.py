"""While a workflow is being handed over: a lock that the `osmo` command holds too, so that it is held as long as that
may still send something, also when whoever started it was killed.
"""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from robotrain import store
from robotrain.problem import Instead, Problem, Rejected, Stage, Unanswered

FILE = "osmo.sending"
SETTLE_SECONDS = 5.0
"""What OSMO may need to list what reached it, when nobody heard its answer."""
PATIENCE_SECONDS = 330.0
POLL = 0.1


class StillSending(Unanswered):
    """Another command may hand the workflow over at this moment: nobody knows what will be there."""

    def __init__(self) -> None:
        title = "an `osmo` command of an earlier submit is still at it"
        super().__init__([Problem(code="osmo-still-sending", stage=Stage.SUBMIT, title=title)])


@contextlib.contextmanager
def held(run: str) -> Iterator[tuple[int, ...]]:
    """Hold the lock of a run; it is given to what is started with these files, none where a disk knows no locks.

    Raises StillSending when another command holds it.
    """
    with contextlib.ExitStack() as stack:
        handles: tuple[int, ...] = ()
        with contextlib.suppress(OSError):
            _path(run).parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(_path(run), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            stack.callback(os.close, handle)
            _lock(run, handle)
            handles = (handle,)
        try:
            yield handles
        finally:
            with contextlib.suppress(OSError):
                os.utime(_path(run))  # from now on nothing more is sent


def wait(run: str) -> None:
    """Return when no command can send anything of the run any more. Raises Rejected when that takes long."""
    until, said = time.monotonic() + PATIENCE_SECONDS, False
    while _is_held(run):
        if time.monotonic() > until:
            raise Rejected([_still(run)])
        if not said:
            print("an `osmo` command of an earlier submit is still at it: waiting for its end", file=sys.stderr)
            said = True
        time.sleep(POLL)


def settling(run: str) -> float:
    """Seconds until OSMO would list what was sent last."""
    try:
        return max(0.0, _path(run).stat().st_mtime + SETTLE_SECONDS - time.time())
    except OSError:
        return 0.0


def _lock(run: str, handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StillSending from None


def _is_held(run: str) -> bool:
    try:
        handle = os.open(_path(run), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _path(run: str) -> Path:
    return store.folder(run) / FILE


def _still(run: str) -> Problem:
    return Problem(
        code="osmo-still-sending",
        stage=Stage.SUBMIT,
        title="an `osmo` command of an earlier submit does not end",
        given=run,
        why="As long as it runs, it may still hand the workflow over.",
        instead=(
            Instead("pgrep -af 'workflow submit'", "shows it; end it when it hangs"),
            Instead("the same command", "when it has ended: it finds out what OSMO took"),
        ),
    )
