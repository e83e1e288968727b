"""The end of a process as another one ended, signals included."""

import os
import resource
import signal


def exit_with_status(status: int) -> None:
    """End as a process did that failed, so that the runtime sees its signal. Raise SystemExit."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    raise SystemExit(status)
