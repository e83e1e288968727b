"""The output of a program, passed on byte for byte, and its lines for whoever looks for values in them."""

import os
import threading
import time
from collections import deque
from typing import IO

MAX_LINE_BYTES = 1 << 16
"""What is kept of a line: one of any length costs no more memory."""
PIECE_BYTES = 1 << 16
SMALL_BYTES, PAUSE_SECONDS = 1 << 12, 0.005
"""After a piece this small, so long a pause costs nobody time: of a thousand lines a second several come together."""
KEPT_BYTES = 4 << 20
"""Of lines that nobody took yet. A program that prints faster than they are read is not slowed down by that."""


class OutputSplitter:
    r"""A splitter of output into lines, which end with \n or \r: each state of a progress bar is one."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that `piece` completes, without their ends and without empty ones."""
        *lines, incomplete_line = piece.replace(b"\r", b"\n").split(b"\n")
        if lines:
            lines[0] = self._extend(lines[0])
            self._pending = b""
        self._pending = self._extend(incomplete_line)
        return [line[:MAX_LINE_BYTES] for line in lines if line]

    def flush(self) -> list[bytes]:
        """Return the last line, if it has no end."""
        last_line, self._pending = self._pending, b""
        return [last_line] if last_line else []

    def _extend(self, line_part: bytes) -> bytes:
        return self._pending + line_part[: MAX_LINE_BYTES - len(self._pending)]


class OutputLines:
    """The lines of a program's output, from one thread to another."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._lock = threading.Lock()

    def add(self, lines: list[bytes]) -> None:
        """Keep lines until they are taken; of too many the last ones."""
        with self._lock:
            self._lines.extend(lines)
            self._size += sum(map(len, lines))
            while self._size > KEPT_BYTES:
                self._size -= len(self._lines.popleft())

    def take_lines(self) -> list[bytes]:
        """Return the lines since the last call."""
        with self._lock:
            taken_lines, self._lines, self._size = list(self._lines), deque(), 0
        return taken_lines


def forward_output(pipe: IO[bytes], output_lines: OutputLines, to: int = 1) -> None:
    """Pass a program's output on at once, to its end, and add its lines to `output_lines`."""
    splitter = OutputSplitter()
    while piece := os.read(pipe.fileno(), PIECE_BYTES):
        try:
            remaining_bytes = memoryview(piece)
            while remaining_bytes:
                remaining_bytes = remaining_bytes[os.write(to, remaining_bytes) :]
        except OSError:  # nobody reads it any more; the program goes on
            to = os.open(os.devnull, os.O_WRONLY)
        output_lines.add(splitter.feed(piece))
        if len(piece) < SMALL_BYTES:
            time.sleep(PAUSE_SECONDS)
    output_lines.add(splitter.flush())
