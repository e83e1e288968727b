"""Child processes: their output as clean lines, events through a pipe, SIGTERM with a grace period, then SIGKILL."""

import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from robotrain_runtime.contract import event, failure, redaction
from robotrain_runtime.contract.event import EVENTS_DESCRIPTOR, EventRecord
from robotrain_runtime.process.stop import GRACE_VARIABLE, StopRequested, StopSignal, stop_process

BAR_SECONDS = 10.0
MAX_LINE_BYTES = 1 << 16  # longer lines are cut, to limit time and memory
BAR_PATTERN = re.compile(
    r"(?P<name>[^%|]{0,200}?)\s*(?:\d{1,3}%\|[^|]*\|[^\[]*|\d+[A-Za-z]* )\[(?:\d+:)?\d\d:\d\d[^\]]*\]"
)
ESCAPE_PATTERN = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
LINE_END = re.compile(rb"\r\n|\r|\n")


class LineSplitter:
    """A splitter of output into clean lines; progress bars are thinned out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pending = b""
        self._bar_times: dict[str, float] = {}

    def feed(self, piece: bytes) -> Iterator[str]:
        """Yield the lines that `piece` completes."""
        carriage_return = b"\r" if piece.endswith(b"\r") else b""  # its \n may be in the next piece
        *byte_lines, self._pending = LINE_END.split(self._pending + piece.removesuffix(b"\r"))
        while len(self._pending) > MAX_LINE_BYTES:
            byte_lines.append(self._pending[:MAX_LINE_BYTES])
            self._pending = self._pending[MAX_LINE_BYTES:]
        self._pending += carriage_return
        for byte_line in byte_lines:
            yield from self._clean_line(byte_line)

    def flush(self) -> Iterator[str]:
        """Yield the last line, if it has no newline."""
        yield from self._clean_line(self._pending)
        self._pending = b""

    def _clean_line(self, raw: bytes) -> Iterator[str]:
        clean_text = ESCAPE_PATTERN.sub("", raw.decode("utf-8", "replace")).rstrip()
        if bar := BAR_PATTERN.match(clean_text):
            now = self._clock()
            if now - self._bar_times.get(bar["name"], float("-inf")) >= BAR_SECONDS:
                self._bar_times[bar["name"]] = now
                yield bar[0].strip()
            clean_text = clean_text[bar.end() :].strip()
        if clean_text:
            yield clean_text


GRACE_SECONDS = 15.0
LAST_OUTPUT_SECONDS = 5.0
REMEMBERED_LINES = 200


class Program:
    """A running program. Raise OSError if it cannot be started."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environ: Mapping[str, str],
        on_line: Callable[[str], None],
        on_event: Callable[[EventRecord], None] = lambda record: None,
        stdin: int = subprocess.DEVNULL,
        folder: Path | None = None,
        edit_line: Callable[[str], str] = str,
        prints_events: bool = True,
    ) -> None:
        """Start it.

        :param edit_line: returns a line of its output as it may be shown.
        :param prints_events: whether lines of its output may be events; else only what comes through the event pipe is.
        """
        self._lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._on_line = on_line
        self._edit_line = edit_line
        self._keys = redaction.KeyBodyHider()
        self._oom_kills = failure.count_oom_kills()
        self.process, receive = start_program(arguments, environ, stdin, folder=folder)
        assert self.process.stdout is not None
        self._readers = (
            start_reader(forward_lines, self.process.stdout, self._take_line, on_event if prints_events else None),
            start_reader(forward_events, os.fdopen(receive, "rb"), on_event),
        )

    def wait(self, stop: StopSignal) -> int:
        """Return its exit status, negative for a signal. Raise StopRequested once it has ended after a stop."""
        try:
            with stop.interruptible():
                return self.process.wait()
        except StopRequested:
            stop_process(self.process, get_grace_seconds(), stop)
            raise
        finally:
            self.finish_reading()

    def wait_successfully(self, stop: StopSignal) -> None:
        """Wait. Raise JobFailed with the reason, the exit code and the fault if it fails."""
        if code := self.wait(stop):
            raise failure.diagnose_exit(code, [*self._lines], failure.count_oom_kills() > self._oom_kills)

    def finish_reading(self) -> None:
        """Wait for the last output; a process that the program left behind may keep the pipe open."""
        for thread in self._readers:
            thread.join(LAST_OUTPUT_SECONDS)

    def explain_exit(self) -> str:
        """Return why it ended, by its last lines."""
        self.finish_reading()
        return failure.explain_exit(self.process.wait(), self._lines)

    def _take_line(self, line: str) -> None:
        line = self._keys.hide(self._edit_line(line))
        self._lines.append(line)
        self._on_line(line)


def run_program(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    stop: StopSignal,
    on_line: Callable[[str], None],
    folder: Path | None = None,
) -> int:
    """Run a program in a folder; return its exit status, negative for a signal.

    Raise StopRequested once the program has ended after a stop, OSError if it cannot be started.
    """
    return Program(arguments, environ=environ, on_line=on_line, folder=folder).wait(stop)


def start_program(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    stdin: int = subprocess.DEVNULL,
    folder: Path | None = None,
    blocked: Sequence[signal.Signals] = (),
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a program; return it and the read end of its event pipe. Raise OSError.

    `folder` is where it starts; None for that of this process. It never hears of the signals in `blocked`.
    """
    receive, send = os.pipe()
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)  # which a program inherits
    try:
        process = subprocess.Popen(
            arguments,
            env={**environ, EVENTS_DESCRIPTOR: str(send)},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(send,),
            cwd=folder,
        )
    except OSError:
        os.close(receive)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
        os.close(send)
    return process, receive


def forward_lines(
    pipe: IO[bytes], on_line: Callable[[str], None], on_event: Callable[[EventRecord], None] | None
) -> None:
    """Forward the lines of a pipe, to its end; event lines are forwarded as events, unless nobody takes them."""
    with pipe:
        for line in _read_lines(pipe):
            if on_event and (record := event.parse_event(line)):
                on_event(record)
            else:
                on_line(line)


def _read_lines(pipe: IO[bytes]) -> Iterator[str]:
    splitter = LineSplitter()
    while piece := os.read(pipe.fileno(), 65536):
        yield from splitter.feed(piece)
    yield from splitter.flush()


def forward_events(pipe: IO[bytes], on_event: Callable[[EventRecord], None]) -> None:
    """Forward the events of a pipe, to its end."""
    with pipe:
        for line_bytes in pipe:
            if record := event.parse_event(line_bytes.decode("utf-8", "replace").rstrip("\n")):
                on_event(record)


def start_reader(read_function: Callable[..., None], *arguments: object) -> threading.Thread:
    """Start a daemon thread that calls `read_function`."""
    thread = threading.Thread(target=read_function, args=arguments, daemon=True)
    thread.start()
    return thread


def get_grace_seconds() -> float:
    """Return how many seconds a program has to end after a stop."""
    try:
        return float(os.environ[GRACE_VARIABLE])
    except (KeyError, ValueError):
        return GRACE_SECONDS
