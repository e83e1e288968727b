"""Output of a running `osmo` command, line by line, through a pseudo-terminal.

Into a pipe, the command would buffer its last 8 KiB.
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

from robotrain_osmo.client import command
from robotrain_osmo.client.command import OsmoCommandResult

CHUNK_BYTES = 1 << 16
MAX_OUTPUT_BYTES = 1 << 16
"""Of stdout and stderr each, for `make_result`."""
POLL_SECONDS = 0.5


class CommandStream:
    """The output of a running command, which the end of `with` or of this process ends."""

    def __init__(self, cli: str, words: tuple[str, ...]) -> None:
        self.exit_code: int | None = None
        self._output, self._partial_line = "", b""
        self._lines: deque[str] = deque()
        self._finished = self._closed = False
        self._stderr_text = ""
        self._stderr_file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        self._terminal, terminal_end = os.openpty()
        try:
            tty.setraw(terminal_end)  # keeps line ends unchanged
            self._process = command.start_process(cli, words, stdout=terminal_end, stderr=self._stderr_file)
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
        self._release()

    def __iter__(self) -> Iterator[str]:
        """Yield every line until the command ends."""
        with contextlib.suppress(EOFError):
            while True:
                line = self.read_line()
                if line is not None:
                    yield line

    def read_line(self, seconds: float | None = None) -> str | None:
        """Return the next line, or None if none came within `seconds`. Raise EOFError at the end."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._lines:
            if self._finished or self._closed:
                raise EOFError
            wait = POLL_SECONDS if until is None else min(POLL_SECONDS, until - time.monotonic())
            if not self._read_chunk(max(0.0, wait)) and until is not None and time.monotonic() >= until:
                return None
        return self._lines.popleft()

    def close(self) -> None:
        """End the command; safe to call twice and from another thread."""
        if not self._closed:
            self._closed = True
            command.end_process(self._process)
            self.exit_code = self._process.returncode

    @property
    def stderr(self) -> str:
        """The stderr output so far."""
        if not self._stderr_file.closed:
            self._stderr_text = os.pread(self._stderr_file.fileno(), MAX_OUTPUT_BYTES, 0).decode("utf-8", "replace")
        return self._stderr_text

    def make_result(self) -> OsmoCommandResult:
        """Return the result, with the first lines of the output."""
        return OsmoCommandResult(self.exit_code if self.exit_code is not None else -1, self._output, self.stderr)

    def _read_chunk(self, seconds: float) -> bool:
        """Read what comes within `seconds`. Return whether anything came, including the end."""
        ended = self._process.poll() is not None
        if not select.select([self._terminal], [], [], seconds)[0]:
            if ended:  # a process it left behind holds its terminal
                self._finish()
            return ended
        try:
            chunk = os.read(self._terminal, CHUNK_BYTES)
        except OSError:  # the other end of a terminal is closed
            chunk = b""
        *lines, self._partial_line = (self._partial_line + chunk).split(b"\n")
        if not chunk:
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
        """Close the files that the command wrote to."""
        if not self._stderr_file.closed:
            _ = self.stderr
            self._stderr_file.close()
            os.close(self._terminal)


def start_stream(cli: str, *words: str) -> CommandStream:
    """Start the command and return its output as a context manager. Raise CommandStartError if that fails."""
    return CommandStream(cli, words)
