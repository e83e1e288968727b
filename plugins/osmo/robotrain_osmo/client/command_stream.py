"""The output of a command of OSMO while it runs."""

from __future__ import annotations

import contextlib
import os
import select
import tempfile
import time
import tty
from collections import deque
from collections.abc import Iterator

from robotrain.external_command import GRACE_SECONDS, ProcessResult, end_process, start_process

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
            self._process = start_process(command, words, stdout=terminal_end, stderr=self._stderr_file)
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
            end_process(self._process)
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
