"""External commands: their result, or their output while they run. Their child processes end with them."""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import tty
import weakref
from collections import deque
from collections.abc import Callable, Iterator
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


def _start_process(command: str, words: tuple[str, ...], **options: Any) -> subprocess.Popen[bytes]:
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


def _end_process(process: subprocess.Popen[bytes]) -> None:
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
"""For reading the remaining output of a killed command."""


def run_command(
    command: str, *words: str, seconds: float = COMMAND_SECONDS, inherit_stderr: bool = False, **options: Any
) -> ProcessResult:
    """Run the command and return its result, whatever the exit code; kill it after `seconds`, when nobody waits
    for it any more (`limit_seconds`), or on an interrupt.

    `inherit_stderr` shows its progress bars; `options` are those of `subprocess.Popen`. Raise CommandStartError if it
    cannot be started.
    """
    pipe = subprocess.PIPE
    process = _start_process(command, words, stdout=pipe, stderr=None if inherit_stderr else pipe, **options)
    timed_out = False
    try:
        output = process.communicate(timeout=limit_seconds(seconds))
    except subprocess.TimeoutExpired:
        timed_out = True
        _end_process(process)
        try:
            output = process.communicate(timeout=DRAIN_SECONDS)
        except subprocess.TimeoutExpired as late:  # a process outside its group holds the pipe
            output = late.stdout or b"", late.stderr or b""
    finally:
        if process.poll() is None:
            _end_process(process)
        _running.discard(process)  # its detached children continue
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
    stdout, stderr = ((stream_bytes or b"").decode("utf-8", "replace") for stream_bytes in output)
    return ProcessResult(process.returncode, stdout, stderr, timed_out)


def run_bounded_command(
    command: str,
    *words: str,
    seconds: float,
    limit: int,
    late_call: tuple[float, Callable[[], None]],
    **options: Any,
) -> ProcessResult:
    """Run the command as `run_command` does, and keep only the first `limit` bytes of stdout and of stderr.

    :param late_call: what is called when it has run for so many seconds.
    """
    process = _start_process(command, words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    buffers = bytearray(), bytearray()
    readers = [
        threading.Thread(target=_read_bounded, args=(stream, buffer, limit), daemon=True)
        for stream, buffer in zip((process.stdout, process.stderr), buffers, strict=True)
    ]
    timed_out = False
    try:
        for reader in readers:
            reader.start()
        late_after, notify_late = late_call
        try:
            process.wait(min(late_after, seconds))
        except subprocess.TimeoutExpired:
            notify_late()
            process.wait(max(0.0, seconds - late_after))
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        _end_process(process)  # with what it left behind
        for reader in readers:
            reader.join(DRAIN_SECONDS)
    stdout, stderr = (bytes(buffer).decode("utf-8", "replace") for buffer in buffers)
    return ProcessResult(process.returncode, stdout, stderr, timed_out)


def _read_bounded(stream: IO[bytes], buffer: bytearray, limit: int) -> None:
    """Read a stream to its end; append no more than `limit` bytes to `buffer`."""
    with stream:
        while chunk := os.read(stream.fileno(), CHUNK_BYTES):
            buffer += chunk[: max(0, limit - len(buffer))]


@contextlib.contextmanager
def open_dialogue(
    command: str, *words: str, seconds: float | None = None, **options: Any
) -> Iterator[tuple[subprocess.Popen[bytes], threading.Event]]:
    """Start a command that is spoken with through its stdin and stdout; it ends with the context, or after `seconds`.

    The event tells the latter. Raise CommandStartError if it cannot be started.
    """
    process, is_late = (
        _start_process(command, words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options),
        threading.Event(),
    )

    def end_late() -> None:
        is_late.set()
        _end_process(process)

    timer = threading.Timer(seconds, end_late) if seconds is not None else None
    try:
        if timer:
            timer.daemon = True
            timer.start()
        yield process, is_late
    finally:
        if timer:
            timer.cancel()
        _end_process(process)
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # it no longer reads
                stream.close() if stream else None


CHUNK_BYTES = 1 << 16
MAX_OUTPUT_BYTES = 1 << 16
"""Of stdout and stderr each, for `make_result`."""
POLL_SECONDS = 0.5


class CommandStream:
    """The output of a running command, line by line; the end of `with` or of this process ends the command.

    The command writes to a pseudo-terminal: into a pipe, it would buffer its last 8 KiB.
    """

    def __init__(self, command: str, words: tuple[str, ...]) -> None:
        self.exit_code: int | None = None
        self._output, self._partial_line = "", b""
        self._lines: deque[str] = deque()
        self._finished = self._closed = False
        self._stderr_text = ""
        self._stderr_file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        self._terminal, terminal_end = os.openpty()
        try:
            tty.setraw(terminal_end)  # keeps line ends unchanged
            self._process = _start_process(command, words, stdout=terminal_end, stderr=self._stderr_file)
        except BaseException:
            os.close(self._terminal)
            self._stderr_file.close()
            raise
        finally:
            os.close(terminal_end)

    def __enter__(self) -> CommandStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if not self._stderr_file.closed:
            self._stderr_text = self.stderr
            self._stderr_file.close()
            os.close(self._terminal)

    def read_line(self, seconds: float) -> str | None:
        """Return the next line, or None if none came within `seconds`. Raise EOFError at the end."""
        deadline = time.monotonic() + seconds
        while not self._lines:
            if self._finished or self._closed:
                raise EOFError
            wait = min(POLL_SECONDS, deadline - time.monotonic())
            if not self._read_chunk(max(0.0, wait)) and time.monotonic() >= deadline:
                return None
        return self._lines.popleft()

    def read_present_lines(self, start: float, pause: float, seconds: float) -> Iterator[str]:
        """Yield the lines that a command prints before it waits for more: it may run on.

        :param start: the time for the first line.
        :param pause: the time without a line that ends them.
        :param seconds: the limit for all of them.
        """
        deadline = time.monotonic() + seconds
        while (seconds_left := deadline - time.monotonic()) > 0:
            try:
                line = self.read_line(min(start, seconds_left))
            except EOFError:
                return
            if line is None:
                return
            start = pause
            yield line

    def close(self) -> None:
        """End the command; safe to call twice and from another thread."""
        if not self._closed:
            self._closed = True
            _end_process(self._process)
            self.exit_code = self._process.returncode

    @property
    def stderr(self) -> str:
        """The stderr output so far."""
        if self._stderr_file.closed:
            return self._stderr_text
        return os.pread(self._stderr_file.fileno(), MAX_OUTPUT_BYTES, 0).decode("utf-8", "replace")

    def make_result(self) -> ProcessResult:
        """Return the result, with the first lines of the output."""
        return ProcessResult(self.exit_code if self.exit_code is not None else -1, self._output, self.stderr)

    def _read_chunk(self, seconds: float) -> bool:
        """Read what comes within `seconds`. Return whether anything came, including the end."""
        has_ended = self._process.poll() is not None
        if not select.select([self._terminal], [], [], seconds)[0]:
            if has_ended:  # a process it left behind holds its terminal
                self._finish()
            return has_ended
        try:
            chunk = os.read(self._terminal, CHUNK_BYTES)
        except OSError:  # the other end of a terminal is closed
            chunk = b""
        *raw_lines, self._partial_line = (self._partial_line + chunk).split(b"\n")
        if not chunk:
            raw_lines, self._partial_line = [*raw_lines, *([self._partial_line] if self._partial_line else [])], b""
            self._finish()
        for raw_line in raw_lines:
            line_text = raw_line.decode("utf-8", "replace").rstrip("\r")
            self._lines.append(line_text)
            if len(self._output) < MAX_OUTPUT_BYTES:
                self._output += f"{line_text}\n"
        return True

    def _finish(self) -> None:
        self._finished = True
        if not self._closed:
            with contextlib.suppress(Exception):
                self._process.wait(GRACE_SECONDS)
            self.close()
