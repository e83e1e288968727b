"""A process of the `osmo` command: without a shell, without a terminal, and ended with everything that it started."""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import os
import signal
import weakref
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import subprocess

GRACE_SECONDS = 1.0
"""From being asked to end to being ended: a one-file executable cleans up after itself."""

_open: weakref.WeakSet[subprocess.Popen[bytes]] = weakref.WeakSet()


class NoCommand(OSError):
    """The command could not be started; the text is a sentence. why: what is wrong with it."""

    def __init__(self, why: Literal["missing", "not-executable", "wrong-machine", "other"], sentence: str) -> None:
        super().__init__(sentence)
        self.why = why


def start(cli: str, words: tuple[str, ...], **streams: Any) -> subprocess.Popen[bytes]:
    """`cli`, a name or a path as one word, with `words`, in a session of its own. Raises NoCommand."""
    import subprocess

    program = os.path.expanduser(cli)
    try:
        process = subprocess.Popen([program, *words], stdin=subprocess.DEVNULL, start_new_session=True, **streams)
    except OSError as error:
        raise _told(cli, program, error) from error
    except ValueError as error:  # a zero byte
        raise NoCommand("other", f"{cli!r} cannot be started: {error}.") from error
    _watch()
    _open.add(process)
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """End it, and what it started and left, now. It was waited for then."""
    import subprocess

    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    _signal(process, signal.SIGKILL)  # whoever of its group is left
    process.wait()
    _open.discard(process)


def let_go(process: subprocess.Popen[bytes]) -> None:
    """It ended, or it is ended; what it left going on by itself goes on."""
    if process.poll() is None:
        end(process)
    _open.discard(process)
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


@functools.cache
def _watch() -> None:
    """Threads that nobody waits for any more end with us, and what they started with them."""
    atexit.register(_end_all)


def _end_all() -> None:
    for process in list(_open):
        _signal(process, signal.SIGTERM)


def _told(cli: str, program: str, error: OSError) -> NoCommand:
    import shutil

    found = shutil.which(program)
    if error.errno == errno.ENOEXEC:
        return NoCommand("wrong-machine", f"{found or cli} is not a program for this kind of machine.")
    if isinstance(error, FileNotFoundError) and found:
        return NoCommand("other", f"{found} is there, and what it is run by is not (its first line says what).")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        where = "There is no such file" if os.sep in program else "No folder of PATH holds it"
        return NoCommand("missing", f"{where}.")
    if isinstance(error, PermissionError):
        return NoCommand("not-executable", "It is there, and it may not be executed.")
    return NoCommand("other", f"{error.strerror or error}.")
