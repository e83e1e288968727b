"""The end of a program of the work: with its reason, or as another process ended, signals included."""

import os
import resource
import signal
import sys
from typing import NoReturn

from robotrain_runtime.contract.failure import ERROR_PREFIX, EXIT_PREFLIGHT


class WorkFailed(SystemExit):
    """The work cannot continue: its program ends with exit code 1, and its last line is the reason of the run."""

    def __init__(self, reason: object) -> None:
        super().__init__(f"{ERROR_PREFIX}{reason}")


def end_as_preflight(reason: object) -> NoReturn:
    """Print why, and end with the exit code of preflight. Raise WorkFailed, from the reason if that is an exception."""
    failure = WorkFailed(reason)
    failure.code = EXIT_PREFLIGHT  # Python prints only what it exits with
    sys.stdout.write(f"{failure}\n")  # in one piece: others may write to the same pipe
    sys.stdout.flush()
    raise failure from (reason if isinstance(reason, BaseException) else None)


def exit_with_status(status: int) -> None:
    """End as a process did that failed, so that the runtime sees its signal. Raise SystemExit."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    raise SystemExit(status)
