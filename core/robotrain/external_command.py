"""External commands: their result, or a dialogue with them. Their child processes end with them."""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from robotrain_runtime.contract.deadline import limit_seconds
from robotrain_runtime.process import stop


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """The result of a command that has ended."""

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
                json_value, end_index = decoder.raw_decode(self.stdout, match.end())
            except (ValueError, RecursionError):
                continue
            if not self.stdout[end_index:].strip():
                return json_value
        raise ValueError("the output has no JSON")


GRACE_SECONDS = 1.0
"""Between SIGTERM and SIGKILL: a one-file executable cleans up after itself."""

_running: weakref.WeakSet[subprocess.Popen[bytes]] = weakref.WeakSet()


class CommandStartError(OSError):
    """The command could not be started; the message is a sentence."""


def start_process(command: str, words: tuple[str, ...], **options: Any) -> subprocess.Popen[bytes]:
    """Start `command`, a name or a path, in its own session. Raise CommandStartError if that fails."""
    program = os.path.expanduser(command)
    try:
        options = {"stdin": subprocess.DEVNULL, **options}
        process = subprocess.Popen([program, *words], start_new_session=True, **options)
    except OSError as error:
        raise _explain_start_error(command, program, error) from error
    except ValueError as error:  # a zero byte
        raise CommandStartError(f"{command!r} cannot be started: {error}.") from error
    _running.add(process)
    return process


def end_process(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group, and wait for it."""
    if process.poll() is None:
        stop.signal_group(process.pid, signal.SIGTERM)
        stop.wait_or_kill(process, GRACE_SECONDS)
    stop.signal_group(process.pid, signal.SIGKILL)  # the rest of its group
    _running.discard(process)


@atexit.register
def _end_processes_at_exit() -> None:
    """End running commands, including those of abandoned threads."""
    if running_processes := list(_running):
        for process in running_processes:
            stop.signal_group(process.pid, signal.SIGTERM)


def _explain_start_error(command: str, program: str, error: OSError) -> CommandStartError:
    program_path = shutil.which(program)
    sentence = f"{error.strerror or error}."
    if error.errno == errno.ENOEXEC:
        sentence = f"{program_path or command} is not a program for this type of machine."
    elif isinstance(error, FileNotFoundError) and program_path:
        sentence = f"The interpreter in the first line of {program_path} does not exist."
    elif isinstance(error, FileNotFoundError | NotADirectoryError):
        sentence = "There is no such file." if os.sep in program else "It is not on PATH."
    elif isinstance(error, PermissionError):
        sentence = "The file is not executable."
    return CommandStartError(sentence)


COMMAND_SECONDS = 60.0
DRAIN_SECONDS = 1.0
"""For reading the remaining output of a command."""


def run_command(
    command: str,
    *words: str,
    seconds: float = COMMAND_SECONDS,
    limit: int = sys.maxsize,
    inherit_stderr: bool = False,
    **options: Any,
) -> ProcessResult:
    """Run the command and return its result, whatever the exit code, with the first `limit` bytes of stdout and stderr.

    It is killed after `seconds`, when nobody waits for it any more (`limit_seconds`), or on an interrupt.

    `inherit_stderr` shows its progress bars; `options` are those of `subprocess.Popen`. Raise CommandStartError if it
    cannot be started.
    """
    pipe = subprocess.PIPE
    process = start_process(command, words, stdout=pipe, stderr=None if inherit_stderr else pipe, **options)
    buffers = bytearray(), bytearray()
    readers = [
        threading.Thread(target=_read_bounded, args=(stream, buffer, limit), daemon=True)
        for stream, buffer in zip((process.stdout, process.stderr), buffers, strict=True)
        if stream
    ]
    timed_out = False
    try:
        for reader in readers:
            reader.start()
        process.wait(limit_seconds(seconds))
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        if process.poll() is None:
            end_process(process)
        _running.discard(process)  # its detached children continue
        for reader in readers:
            reader.join(DRAIN_SECONDS)  # a process outside its group may hold the pipe
    stdout, stderr = (bytes(buffer).decode("utf-8", "replace") for buffer in buffers)
    return ProcessResult(process.returncode, stdout, stderr, timed_out)


def _read_bounded(stream: IO[bytes], buffer: bytearray, limit: int) -> None:
    """Read a stream to its end; append no more than `limit` bytes to `buffer`."""
    with stream:
        while chunk := os.read(stream.fileno(), 1 << 16):
            buffer += chunk[: max(0, limit - len(buffer))]


@contextlib.contextmanager
def open_dialogue(
    command: str, *words: str, seconds: float | None = None, **options: Any
) -> Iterator[tuple[subprocess.Popen[bytes], threading.Event]]:
    """Start a command that is spoken with through its stdin and stdout; it ends with the context, or after `seconds`.

    The event tells the latter. Raise CommandStartError if it cannot be started.
    """
    process, is_late = (
        start_process(command, words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options),
        threading.Event(),
    )

    def end_late() -> None:
        is_late.set()
        end_process(process)

    timer = threading.Timer(seconds, end_late) if seconds is not None else None
    try:
        if timer:
            timer.daemon = True
            timer.start()
        yield process, is_late
    finally:
        if timer:
            timer.cancel()
        end_process(process)
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # it no longer reads
                stream.close() if stream else None
