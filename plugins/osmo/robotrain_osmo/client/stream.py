"""Output of a running `osmo` command, line by line, through a terminal of its own.

It prints to a terminal of its own: into a pipe it would keep its last 8 KiB to itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import tempfile
import time
import tty
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Stage

from robotrain_osmo.client import command, failures
from robotrain_osmo.client.command import OsmoCommandResult
from robotrain_osmo.client.failures import CommandFailed

if TYPE_CHECKING:
    pass

CHUNK_BYTES = 1 << 16
MAX_OUTPUT_BYTES = 1 << 16
"""Of what it printed, for `answer`."""
POLL_SECONDS = 0.5


class CommandStream:
    """A call that is being read. Its `with` ends it, whatever happens; so does the end of this process."""

    def __init__(self, cli: str, words: tuple[str, ...]) -> None:
        self.exit_code: int | None = None
        self._output, self._partial_line = "", b""
        self._lines: deque[str] = deque()
        self._finished = self._closed = False
        self._stderr_text = ""
        self._stderr_file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        self._terminal, theirs = os.openpty()
        try:
            tty.setraw(theirs)  # line ends stay what they are
            self._process = command.start_process(cli, words, stdout=theirs, stderr=self._stderr_file)
        except BaseException:
            os.close(self._terminal)
            self._stderr_file.close()
            raise
        finally:
            os.close(theirs)

    def __enter__(self) -> CommandStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._release()

    def __iter__(self) -> Iterator[str]:
        """Every line to the end."""
        with contextlib.suppress(EOFError):
            while True:
                line = self.read_line()
                if line is not None:
                    yield line

    def read_line(self, seconds: float | None = None) -> str | None:
        """The next line, without its end; None when none came for so long. Raises EOFError when it is over."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._lines:
            if self._finished or self._closed:
                raise EOFError
            left = POLL_SECONDS if until is None else min(POLL_SECONDS, until - time.monotonic())
            if not self._read_chunk(max(0.0, left)) and until is not None and time.monotonic() >= until:
                return None
        return self._lines.popleft()

    def close(self) -> None:
        """End it; may be called again, and by another thread."""
        if not self._closed:
            self._closed = True
            command.end_process(self._process)
            self.exit_code = self._process.returncode

    @property
    def stderr(self) -> str:
        """What it said on stderr so far."""
        if not self._stderr_file.closed:
            self._stderr_text = os.pread(self._stderr_file.fileno(), MAX_OUTPUT_BYTES, 0).decode("utf-8", "replace")
        return self._stderr_text

    def make_result(self) -> OsmoCommandResult:
        """What it came to, for `asking.judge`: its first lines, and all of its end that counts."""
        return OsmoCommandResult(self.exit_code if self.exit_code is not None else -1, self._output, self.stderr)

    def _read_chunk(self, seconds: float) -> bool:
        """Take in what comes within `seconds`; whether anything did, its end included."""
        ended = self._process.poll() is not None
        if not select.select([self._terminal], [], [], seconds)[0]:
            if ended:  # somebody it left behind still holds its terminal
                self._finish()
            return ended
        try:
            piece = os.read(self._terminal, CHUNK_BYTES)
        except OSError:  # the other end of a terminal is closed
            piece = b""
        *lines, self._partial_line = (self._partial_line + piece).split(b"\n")
        if not piece:
            lines, self._partial_line = [*lines, *([self._partial_line] if self._partial_line else [])], b""
            self._finish()
        for line in lines:
            self._append_line(line.decode("utf-8", "replace").rstrip("\r"))
        return True

    def _append_line(self, line: str) -> None:
        self._lines.append(line)
        if len(self._output) < MAX_OUTPUT_BYTES:
            self._output += f"{line}\n"

    def _finish(self) -> None:
        self._finished = True
        if not self._closed:
            with contextlib.suppress(Exception):
                self._process.wait(command.GRACE_SECONDS)
            self.close()

    def _release(self) -> None:
        """Let go of what it wrote to."""
        if not self._stderr_file.closed:
            _ = self.stderr
            self._stderr_file.close()
            os.close(self._terminal)


def start_stream(cli: str, *words: str) -> CommandStream:
    """Call it and read its lines as they come; for a `with`. Raises NoCommand."""
    pass

    return CommandStream(cli, words)


def open_stream(cli: str, *words: str, stage: Stage = Stage.SUBMIT) -> CommandStream:
    """Its lines as they come. Raises Refused when there is no such command."""
    try:
        return start_stream(cli, *words)
    except command.CommandStartError as error:
        raise CommandFailed(failures.make_start_failure(cli, str(error)), stage) from error
