"""Child processes run to their end: output as clean lines, events through a pipe, stopped gently."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import EVENTS_DESCRIPTOR, EventRecord
from robotrain_runtime.process.stop import GRACE_VARIABLE, StopRequested, StopSignal

BAR_SECONDS = 10.0
MAX_LINE_BYTES = 1 << 16  # bytes; a longer line is cut there, so that neither time nor memory runs away
BAR_PATTERN = re.compile(
    r"(?P<name>[^%|]{0,200}?)\s*(?:\d{1,3}%\|[^|]*\|[^\[]*|\d+[A-Za-z]* )\[(?:\d+:)?\d\d:\d\d[^\]]*\]"
)
ESCAPE_PATTERN = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
LINE_END = re.compile(rb"\r\n|\r|\n")


class LineSplitter:
    """Takes output as it comes, in pieces; gives whole lines without their ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rest = b""
        self._bar_times: dict[str, float] = {}

    def feed(self, piece: bytes) -> Iterator[str]:
        """The lines that `piece` completes."""
        held = b"\r" if piece.endswith(b"\r") else b""  # its \n may be in the next piece
        *whole, self._rest = LINE_END.split(self._rest + piece[: len(piece) - len(held)])
        while len(self._rest) > MAX_LINE_BYTES:
            whole.append(self._rest[:MAX_LINE_BYTES])
            self._rest = self._rest[MAX_LINE_BYTES:]
        self._rest += held
        for line in whole:
            yield from self._clean_line(line)

    def flush(self) -> Iterator[str]:
        """What was left without a line's end."""
        yield from self._clean_line(self._rest)
        self._rest = b""

    def _clean_line(self, raw: bytes) -> Iterator[str]:
        text = ESCAPE_PATTERN.sub("", raw.decode("utf-8", "replace")).rstrip()
        if bar := BAR_PATTERN.match(text):
            if self._is_bar_due(bar["name"]):
                yield bar[0].strip()
            text = text[bar.end() :].strip()
        if text:
            yield text

    def _is_bar_due(self, name: str) -> bool:
        now = self._clock()
        if now - self._bar_times.get(name, float("-inf")) < BAR_SECONDS:
            return False
        self._bar_times[name] = now
        return True


GRACE_SECONDS = 15.0
LAST_OUTPUT_SECONDS = 5.0


def run_program(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    stop: StopSignal,
    on_line: Callable[[str], None],
    on_event: Callable[[EventRecord], None],
) -> int:
    """The exit status, negative for a signal. Raises StopRequested once the program is gone; OSError when none starts."""
    process, receive = start_program(arguments, environ)
    assert process.stdout is not None
    readers = (
        start_reader(forward_lines, process.stdout, on_line, on_event),
        start_reader(forward_events, os.fdopen(receive, "rb"), on_event),
    )
    try:
        return _wait_for_exit(process, stop)
    finally:
        for thread in readers:  # a process it left behind may hold the pipe open for ever
            thread.join(LAST_OUTPUT_SECONDS)


def start_program(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    stdin: int = subprocess.DEVNULL,
    before_exec: Callable[[], object] | None = None,
) -> "tuple[subprocess.Popen[bytes], int]":
    """The program, and the end of the pipe that its events come through. before: done in it first. Raises OSError."""
    receive, send = os.pipe()
    try:
        process = subprocess.Popen(
            arguments,
            env={**environ, EVENTS_DESCRIPTOR: str(send)},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(send,),
            preexec_fn=before_exec,
        )
    except OSError:
        os.close(receive)
        raise
    finally:
        os.close(send)
    return process, receive


def forward_lines(pipe: IO[bytes], on_line: Callable[[str], None], on_event: Callable[[EventRecord], None]) -> None:
    """Pass on what comes through `pipe`; event lines among the ordinary ones are events."""
    lines = LineSplitter()
    while piece := os.read(pipe.fileno(), 65536):
        for line in lines.feed(piece):
            _forward_line(line, on_line, on_event)
    for line in lines.flush():
        _forward_line(line, on_line, on_event)
    pipe.close()


def forward_events(pipe: IO[bytes], on_event: Callable[[EventRecord], None]) -> None:
    """Pass on the events that come through `pipe`, to its end."""
    with pipe:
        for line in pipe:
            if record := event.parse_event(line.decode("utf-8", "replace").rstrip("\n")):
                on_event(record)


def start_reader(read: Callable[..., None], *arguments: object) -> threading.Thread:
    """A started thread that does `read`."""
    thread = threading.Thread(target=read, args=arguments, daemon=True)
    thread.start()
    return thread


def _forward_line(line: str, on_line: Callable[[str], None], on_event: Callable[[EventRecord], None]) -> None:
    if record := event.parse_event(line):
        on_event(record)
    else:
        on_line(line)


def _wait_for_exit(process: "subprocess.Popen[bytes]", stop: StopSignal) -> int:
    try:
        with stop.interruptible():
            return process.wait()
    except StopRequested:
        _end_program(process, stop)
        raise


def _end_program(process: "subprocess.Popen[bytes]", stop: StopSignal) -> None:
    """Ask it to end, and end it when it takes longer than the grace, or when a second signal comes."""
    process.terminate()
    try:
        with stop.interruptible():
            process.wait(get_grace_seconds())
    except (subprocess.TimeoutExpired, StopRequested):
        process.kill()
        process.wait()


def get_grace_seconds() -> float:
    """Seconds that a part of a run has to end in, once it is told to stop."""
    try:
        return float(os.environ[GRACE_VARIABLE])
    except (KeyError, ValueError):
        return GRACE_SECONDS
