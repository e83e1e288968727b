"""The `osmo` command: start it without a shell, wait for it, and end it with everything it started."""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import json
import os
import re
import signal
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class OsmoCommandResult:
    """What a call came to. code: the exit status, negative for a signal. overdue: it was killed at its time limit."""

    exit_code: int
    stdout: str
    stderr: str
    timed_out: bool = False

    def parse_json(self) -> Any:
        """The JSON value in stdout; lines before it are skipped. Raises ValueError when there is none."""
        decoder = json.JSONDecoder()
        for found in re.finditer(r"^[ \t]*(?=[\[{])", self.stdout, re.MULTILINE):
            try:
                value, end = decoder.raw_decode(self.stdout, found.end())
            except ValueError:
                continue
            if not self.stdout[end:].strip():
                return value
        raise ValueError("it answered no JSON")


GRACE_SECONDS = 1.0
"""From being asked to end to being ended: a one-file executable cleans up after itself."""

_running: weakref.WeakSet[subprocess.Popen[bytes]] = weakref.WeakSet()


class CommandStartError(OSError):
    """The command could not be started; the text is a sentence. why: what is wrong with it."""

    def __init__(self, cause: Literal["missing", "not-executable", "wrong-machine", "other"], sentence: str) -> None:
        super().__init__(sentence)
        self.cause = cause


def start_process(cli: str, words: tuple[str, ...], **streams: Any) -> subprocess.Popen[bytes]:
    """`cli`, a name or a path as one word, with `words`, in a session of its own. Raises NoCommand."""
    import subprocess

    program = os.path.expanduser(cli)
    try:
        process = subprocess.Popen([program, *words], stdin=subprocess.DEVNULL, start_new_session=True, **streams)
    except OSError as error:
        raise _explain_start_error(cli, program, error) from error
    except ValueError as error:  # a zero byte
        raise CommandStartError("other", f"{cli!r} cannot be started: {error}.") from error
    _end_processes_at_exit()
    _running.add(process)
    return process


def end_process(process: subprocess.Popen[bytes]) -> None:
    """End it, and what it started and left, now. It was waited for then."""
    import subprocess

    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    _signal_group(process, signal.SIGKILL)  # whoever of its group is left
    process.wait()
    _running.discard(process)


def release_process(process: subprocess.Popen[bytes]) -> None:
    """It ended, or it is ended; what it left going on by itself goes on."""
    if process.poll() is None:
        end_process(process)
    _running.discard(process)
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


@functools.cache
def _end_processes_at_exit() -> None:
    """Threads that nobody waits for any more end with us, and what they started with them."""
    atexit.register(_terminate_all)


def _terminate_all() -> None:
    for process in list(_running):
        _signal_group(process, signal.SIGTERM)


def _explain_start_error(cli: str, program: str, error: OSError) -> CommandStartError:
    import shutil

    found = shutil.which(program)
    if error.errno == errno.ENOEXEC:
        return CommandStartError("wrong-machine", f"{found or cli} is not a program for this kind of machine.")
    if isinstance(error, FileNotFoundError) and found:
        return CommandStartError("other", f"{found} is there, and what it is run by is not (its first line says what).")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        where = "There is no such file" if os.sep in program else "No folder of PATH holds it"
        return CommandStartError("missing", f"{where}.")
    if isinstance(error, PermissionError):
        return CommandStartError("not-executable", "It is there, and it may not be executed.")
    return CommandStartError("other", f"{error.strerror or error}.")


COMMAND_SECONDS = 60.0
DRAIN_SECONDS = 1.0
"""What a killed command may still have to say."""


def run_command(
    cli: str, *words: str, seconds: float = COMMAND_SECONDS, inherit_stderr: bool = False, pass_fds: Sequence[int] = ()
) -> OsmoCommandResult:
    """Call it and wait for its end; it is killed after `seconds`, and when this thread is interrupted.

    shown: its stderr is ours, for progress bars. holding: open files that it has, too. Judges nothing: look at `code`.
    Raises NoCommand.
    """
    import subprocess

    pipe = subprocess.PIPE
    started = start_process(cli, words, stdout=pipe, stderr=None if inherit_stderr else pipe, pass_fds=pass_fds)
    overdue = False
    try:
        out, err = started.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        overdue = True
        end_process(started)
        out, err = _drain_output(started)
    finally:
        release_process(started)
    return OsmoCommandResult(started.returncode, _decode(out), _decode(err), overdue)


def _drain_output(started: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    import subprocess

    try:
        return started.communicate(timeout=DRAIN_SECONDS)
    except subprocess.TimeoutExpired as late:  # somebody who left its group holds the pipe
        return late.stdout or b"", late.stderr or b""


def _decode(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")
