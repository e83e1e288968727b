"""Processes of this machine that outlive the command that started them."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.contract import child_python


def start_module(module: str, argument: str, log: Path, environ: Mapping[str, str], mode: int) -> int:
    """Start a module in a session of its own, which no terminal ends; its output goes to `log`. Return its pid.

    Raise OSError. `mode`: of the log, if it is created.
    """
    return os.posix_spawn(
        sys.executable,
        child_python.make_module_command(module, argument),
        environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def has_exited(child: int) -> bool:
    """Return whether a process that was started here has ended."""
    try:
        return os.waitpid(child, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def kill(child: int) -> None:
    """End a process that was started here, and wait for its end."""
    if not has_exited(child):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
