"""A virtual terminal for programs: a pty, and a screen that interprets the few escape codes we use."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable

CODE = re.compile(r"\x1b\[(\d*)([A-Za-z])|\r|\n|[^\x1b\r\n]+|\x1b")


class Screen:
    """Lines of text and a cursor; what does not fit goes on in the next row, what leaves at the top is remembered."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lines: list[str] = [""]
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        for match in CODE.finditer(text):
            number, code = match[1], match[2]
            if code == "A":
                self.row = max(self.row - int(number or 1), self.top)
            elif code == "K":
                self.lines[self.row] = "" if number == "2" else self.lines[self.row][: self.column]
            elif code == "J":
                self.lines[self.row] = self.lines[self.row][: self.column]
                del self.lines[self.row + 1 :]
            elif code == "m":
                continue
            elif match[0] == "\r":
                self.column = 0
            elif match[0] == "\n":
                self._down()
            elif code or match[0] == "\x1b":
                raise AssertionError(f"a code nobody expects: {match[0]!r}")
            else:
                self._put(match[0])

    @property
    def top(self) -> int:
        """The first row that is on the screen."""
        return max(0, len(self.lines) - self.rows)

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.lines[self.top :]).rstrip()

    @property
    def everything(self) -> str:
        """That, and what left it at the top."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip()

    def resize(self, columns: int, rows: int) -> None:
        """Narrower: lines that do not fit any more are wrapped, as most terminals do."""

        def wrap(line: str) -> list[str]:
            return [line[at : at + columns] for at in range(0, max(1, len(line)), columns)]

        *above, own = [wrap(line) for line in self.lines[: self.row + 1]]
        self.row = sum(map(len, above)) + min(self.column // columns, len(own) - 1)
        self.lines = [part for line in self.lines for part in wrap(line)]
        self.column, self.columns, self.rows = 0, columns, rows

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _put(self, text: str) -> None:
        for character in text:
            if self.column == self.columns:
                self._down()
                self.column = 0
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1


class VirtualTerminal:
    """A command on a terminal."""

    def __init__(self, command: list[str], environ: dict[str, str], columns: int = 80, rows: int = 24) -> None:
        self.screen = Screen(columns, rows)
        self.raw = ""
        self._ours, theirs = pty.openpty()
        self._tell_size(columns, rows)
        self._process = subprocess.Popen(
            command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    def resize(self, columns: int, rows: int) -> None:
        """Another size, from now on, and not in the middle of a picture."""
        while self._read(1.0):
            continue
        self.screen.resize(columns, rows)
        self._tell_size(columns, rows)

    def until(self, seen: Callable[[str], bool]) -> str:
        """The screen, once `seen` says yes to it. Raises AssertionError when it never does."""
        end = time.monotonic() + 30
        while not seen(self.screen.text):
            assert time.monotonic() < end, f"this is all there is:\n{self.screen.text}"
            self._read(0.1)
        return self.screen.text

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def proceed(self) -> None:
        """What a shell sends on `fg`."""
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> int:
        """Its exit code, once it ended. Raises TimeoutExpired after two minutes: a busy machine is silent for long."""
        until = time.monotonic() + 120
        while self._process.poll() is None and time.monotonic() < until:
            self._read(0.5)
        while self._read(0.5):
            continue
        return self._process.wait(0)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def _tell_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self._ours, 1 << 16).decode()
        except OSError:  # nobody holds the other side any more
            return False
        self.raw += piece
        self.screen.feed(piece)
        return bool(piece)
