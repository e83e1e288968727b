"""The lines of a command that goes on, such as `osmo workflow logs`, as soon as they are printed.

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

from robotrain_osmo.cli import process
from robotrain_osmo.cli.answer import Answer

PIECE = 1 << 16
MOST_KEPT = 1 << 16
"""Of what it printed, for `answer`."""
POLL_SECONDS = 0.5


class Stream:
    """A call that is being read. Its `with` ends it, whatever happens; so does the end of this process."""

    def __init__(self, cli: str, words: tuple[str, ...]) -> None:
        self.code: int | None = None
        self._kept, self._rest = "", b""
        self._lines: deque[str] = deque()
        self._over = self._closed = False
        self._said = ""
        self._err = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        self._terminal, theirs = os.openpty()
        try:
            tty.setraw(theirs)  # line ends stay what they are
            self._process = process.start(cli, words, stdout=theirs, stderr=self._err)
        except BaseException:
            os.close(self._terminal)
            self._err.close()
            raise
        finally:
            os.close(theirs)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._forget()

    def __iter__(self) -> Iterator[str]:
        """Every line to the end."""
        with contextlib.suppress(EOFError):
            while True:
                line = self.line()
                if line is not None:
                    yield line

    def line(self, seconds: float | None = None) -> str | None:
        """The next line, without its end; None when none came for so long. Raises EOFError when it is over."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._lines:
            if self._over or self._closed:
                raise EOFError
            left = POLL_SECONDS if until is None else min(POLL_SECONDS, until - time.monotonic())
            if not self._read(max(0.0, left)) and until is not None and time.monotonic() >= until:
                return None
        return self._lines.popleft()

    def close(self) -> None:
        """End it; may be called again, and by another thread."""
        if not self._closed:
            self._closed = True
            process.end(self._process)
            self.code = self._process.returncode

    @property
    def err(self) -> str:
        """What it said on stderr so far."""
        if not self._err.closed:
            self._said = os.pread(self._err.fileno(), MOST_KEPT, 0).decode("utf-8", "replace")
        return self._said

    def answer(self) -> Answer:
        """What it came to, for `asking.judge`: its first lines, and all of its end that counts."""
        return Answer(self.code if self.code is not None else -1, self._kept, self.err)

    def _read(self, seconds: float) -> bool:
        """Take in what comes within `seconds`; whether anything did, its end included."""
        ended = self._process.poll() is not None
        if not select.select([self._terminal], [], [], seconds)[0]:
            if ended:  # somebody it left behind still holds its terminal
                self._end()
            return ended
        try:
            piece = os.read(self._terminal, PIECE)
        except OSError:  # the other end of a terminal is closed
            piece = b""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if not piece:
            lines, self._rest = [*lines, *([self._rest] if self._rest else [])], b""
            self._end()
        for line in lines:
            self._take(line.decode("utf-8", "replace").rstrip("\r"))
        return True

    def _take(self, line: str) -> None:
        self._lines.append(line)
        if len(self._kept) < MOST_KEPT:
            self._kept += f"{line}\n"

    def _end(self) -> None:
        self._over = True
        if not self._closed:
            with contextlib.suppress(Exception):
                self._process.wait(process.GRACE_SECONDS)
            self.close()

    def _forget(self) -> None:
        """Let go of what it wrote to."""
        if not self._err.closed:
            _ = self.err
            self._err.close()
            os.close(self._terminal)
