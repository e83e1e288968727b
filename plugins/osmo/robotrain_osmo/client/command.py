"""The `osmo` command: started without a shell, and ended with all its child processes."""

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
    """The result of a call."""

    exit_code: int
    """Negative for a signal."""
    stdout: str
    stderr: str
    timed_out: bool = False

    def parse_json(self) -> Any:
        """Return the JSON value in stdout, skipping lines before it. Raise ValueError if there is none."""
        decoder = json.JSONDecoder()
        for match in re.finditer(r"^[ \t]*(?=[\[{])", self.stdout, re.MULTILINE):
            try:
                value, end = decoder.raw_decode(self.stdout, match.end())
            except ValueError:
                continue
            if not self.stdout[end:].strip():
                return value
        raise ValueError("the output has no JSON")


GRACE_SECONDS = 1.0
"""Between SIGTERM and SIGKILL: a one-file executable cleans up after itself."""

_running: weakref.WeakSet[subprocess.Popen[bytes]] = weakref.WeakSet()


class CommandStartError(OSError):
    """The command could not be started; the message is a sentence."""

    def __init__(self, cause: Literal["missing", "not-executable", "wrong-machine", "other"], sentence: str) -> None:
        super().__init__(sentence)
        self.cause = cause


def start_process(cli: str, words: tuple[str, ...], **streams: Any) -> subprocess.Popen[bytes]:
    """Start `cli`, a name or a path, in its own session. Raise CommandStartError if that fails."""
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
    """End the process and its group, and wait for it."""
    import subprocess

    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    _signal_group(process, signal.SIGKILL)  # the rest of its group
    process.wait()
    _running.discard(process)


def release_process(process: subprocess.Popen[bytes]) -> None:
    """End the process if it runs, and close its pipes; its detached children continue."""
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
    """End running commands at exit, including those of abandoned threads."""
    atexit.register(_terminate_all)


def _terminate_all() -> None:
    for process in list(_running):
        _signal_group(process, signal.SIGTERM)


def _explain_start_error(cli: str, program: str, error: OSError) -> CommandStartError:
    import shutil

    found = shutil.which(program)
    if error.errno == errno.ENOEXEC:
        return CommandStartError("wrong-machine", f"{found or cli} is not a program for this type of machine.")
    if isinstance(error, FileNotFoundError) and found:
        return CommandStartError("other", f"The interpreter in the first line of {found} does not exist.")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        why = "There is no such file." if os.sep in program else "It is not on PATH."
        return CommandStartError("missing", why)
    if isinstance(error, PermissionError):
        return CommandStartError("not-executable", "The file is not executable.")
    return CommandStartError("other", f"{error.strerror or error}.")


COMMAND_SECONDS = 60.0
DRAIN_SECONDS = 1.0
"""For reading the remaining output of a killed command."""


def run_command(
    cli: str, *words: str, seconds: float = COMMAND_SECONDS, inherit_stderr: bool = False, pass_fds: Sequence[int] = ()
) -> OsmoCommandResult:
    """Run the command and return its result, whatever the exit code; kill it after `seconds` or on an interrupt.

    `inherit_stderr` shows its progress bars. Raise CommandStartError if it cannot be started.
    """
    import subprocess

    pipe = subprocess.PIPE
    process = start_process(cli, words, stdout=pipe, stderr=None if inherit_stderr else pipe, pass_fds=pass_fds)
    timed_out = False
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        timed_out = True
        end_process(process)
        stdout, stderr = _drain_output(process)
    finally:
        release_process(process)
    return OsmoCommandResult(process.returncode, _decode(stdout), _decode(stderr), timed_out)


def _drain_output(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    import subprocess

    try:
        return process.communicate(timeout=DRAIN_SECONDS)
    except subprocess.TimeoutExpired as late:  # a process outside its group holds the pipe
        return late.stdout or b"", late.stderr or b""


def _decode(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")
