"""Commands that take over the user's terminal: their streams, signals and exit codes."""

import errno
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType

from robotrain.cli.output import get_results, is_terminal, print_message
from robotrain.model.terminal import TerminalCommand

CHUNK_BYTES = 1 << 16
NOT_STARTED, NOT_FOUND, LOST = 126, 127, 255
"""Exit codes, as a shell and ssh have them."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def has_terminal() -> bool:
    """Return whether the user types and reads at a terminal."""
    return is_terminal(sys.stdin) and is_terminal(get_results())


def run_on_terminal(command: TerminalCommand) -> int:
    """Run a command with the streams of this process, and return its exit code, as a shell has it.

    Raise what explains why it failed.
    """
    if command.note:
        print_message(command.note)
    if command.exit_mark:
        return _relay(command)
    output = subprocess.PIPE if command.explain_failure else None
    try:
        process = subprocess.Popen(
            command.words,
            cwd=command.folder or None,
            env=command.environ,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
        )
    except OSError as error:
        return _say_not_started(command.words, error)
    printed = b""
    with _passed_on(process.pid), process:
        while process.stdout and (chunk := os.read(process.stdout.fileno(), CHUNK_BYTES)):
            printed = (printed + chunk)[-CHUNK_BYTES:]
        code = process.wait()
    if code > 0 and command.explain_failure:
        raise command.explain_failure(code, printed.decode(errors="replace"))
    return code if code >= 0 else 128 - code


def _say_not_started(words: Sequence[str], error: OSError) -> int:
    print_message(f"{error.filename or words[0]}: {error.strerror or error}")
    return NOT_FOUND if error.errno == errno.ENOENT else NOT_STARTED


@contextmanager
def _passed_on(process: int, has_streams: bool = True) -> Iterator[None]:
    """Send what would end this process to another one; Ctrl-C has reached one at the same terminal already.

    :param has_streams: whether the other one has the streams of this process.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        if not (number == signal.SIGINT and has_streams and is_terminal(sys.stdin)):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    previous_handlers = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)


class MarkedOutput:
    """What a command prints between two marks, and the exit code after the second one.

    :param begin: the first mark; empty for what begins at once.
    :param is_raw: whether ends of lines stay those of a terminal.
    """

    def __init__(self, begin: bytes, mark: bytes, is_raw: bool) -> None:
        self._begin, self._mark, self._is_raw, self._held = begin, mark, is_raw, b""
        self.before = b""
        """What came before the first mark."""

    @property
    def has_begun(self) -> bool:
        """Whether the first mark has come."""
        return not self._begin

    @property
    def exit_code(self) -> int | None:
        """The exit code after the mark; None if there is none."""
        number, is_whole, _ = self._held.partition(self._mark)[2].partition(b";")
        return int(number) if is_whole and number.isdigit() else None

    def filter_chunk(self, chunk: bytes) -> bytes:
        """Return what can be shown after another piece came."""
        if self._begin:
            self.before, begin_mark, chunk = (self.before + chunk).partition(self._begin)
            if not begin_mark:
                return b""
            self._begin = b""
        if self._mark in self._held:
            self._held += chunk
            return b""
        received_bytes = self._held + chunk
        end = received_bytes.find(self._mark)
        if end < 0:
            end = len(received_bytes) - next(
                n for n in range(len(self._mark), -1, -1) if received_bytes.endswith(self._mark[:n])
            )
            end -= received_bytes[:end].endswith(b"\r")  # the rest of the line's end may follow
        shown_bytes, self._held = received_bytes[:end], received_bytes[end:]
        return shown_bytes if self._is_raw else shown_bytes.replace(b"\r\n", b"\n")

    def finish(self) -> bytes:
        """Return what is left to be shown."""
        return b"" if self._mark in self._held else self._held


def _relay(command: TerminalCommand) -> int:
    """Run a command at a terminal of its own; return the exit code that it prints. What is typed goes there.

    Raise what explains why it did not begin.
    """
    is_typed = has_terminal()
    output = MarkedOutput(command.begin_mark.encode(), command.exit_mark.encode(), is_typed)
    reading, errors = os.pipe()
    process, terminal = pty.fork()
    if not process:  # errors are no part of the output
        os.dup2(errors, 2)
        try:
            os.execvpe(command.words[0], [*command.words], command.environ or os.environ)
        except OSError as error:
            os._exit(_say_not_started(command.words, error))
    os.close(errors)
    with _passed_on(process, has_streams=False), _typed_raw(terminal) if is_typed else nullcontext():
        first_errors = _copy(terminal, reading, output, is_typed)
    os.close(terminal)
    os.close(reading)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if output.exit_code is not None:
        return output.exit_code
    if not output.has_begun and code >= 0 and command.explain_failure:
        printed = (first_errors + output.before).decode(errors="replace").replace("\r\n", "\n")
        raise command.explain_failure(code or LOST, printed)
    return code if code > 0 else 128 - code if code else LOST


@contextmanager
def _typed_raw(terminal: int) -> Iterator[None]:
    """Let the terminal of the user pass on every key, and another one be as large."""

    def copy_size(*_: object) -> None:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))

    previous_settings = termios.tcgetattr(0)
    handler = signal.signal(signal.SIGWINCH, copy_size)
    copy_size()
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, previous_settings)
        signal.signal(signal.SIGWINCH, handler)


def _copy(terminal: int, errors: int, output: MarkedOutput, is_typed: bool) -> bytes:
    """Copy between the streams of the user and a command, until its terminal is closed.

    Return what it wrote to `errors` before it began; that is shown once it has begun.
    """
    streams, held_bytes = {terminal, errors} | ({0} if is_typed else set()), b""
    while terminal in streams:
        for stream in select.select([*streams], [], [])[0]:
            try:
                chunk = os.read(stream, CHUNK_BYTES)
            except OSError:  # the other end is closed
                chunk = b""
            if not chunk:
                streams.discard(stream)
            if stream == 0:
                _write(terminal, chunk)
            elif stream == terminal:
                _write(1, output.filter_chunk(chunk) if chunk else output.finish())
            else:
                held_bytes = (held_bytes + chunk)[-CHUNK_BYTES:]
            if output.has_begun:
                _write(2, held_bytes)
                held_bytes = b""
    while select.select([errors], [], [], 0)[0] and (chunk := os.read(errors, CHUNK_BYTES)):
        held_bytes += chunk
    if output.has_begun:
        _write(2, held_bytes)
    return held_bytes


def _write(stream: int, content: bytes) -> None:
    while content:
        content = content[os.write(stream, content) :]
