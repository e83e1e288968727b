"""A program run to its end: its output as lines, its events through a pipe, stopped gently when the run is stopped."""

import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from robotrain_runtime import event
from robotrain_runtime.emit import DESCRIPTOR
from robotrain_runtime.event import Record
from robotrain_runtime.lines import Lines
from robotrain_runtime.stop import GRACE, Stop, Stopped

GRACE_SECONDS = 15.0
LAST_OUTPUT_SECONDS = 5.0


def run(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    stop: Stop,
    on_line: Callable[[str], None],
    on_event: Callable[[Record], None],
) -> int:
    """The exit status, negative for a signal. Raises Stopped once the program is gone; OSError when none starts."""
    process, receive = start(arguments, environ)
    assert process.stdout is not None
    readers = (
        reader(lines_to, process.stdout, on_line, on_event),
        reader(events_to, os.fdopen(receive, "rb"), on_event),
    )
    try:
        return _wait(process, stop)
    finally:
        for thread in readers:  # a process it left behind may hold the pipe open for ever
            thread.join(LAST_OUTPUT_SECONDS)


def start(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    stdin: int = subprocess.DEVNULL,
    before: Callable[[], object] | None = None,
) -> "tuple[subprocess.Popen[bytes], int]":
    """The program, and the end of the pipe that its events come through. before: done in it first. Raises OSError."""
    receive, send = os.pipe()
    try:
        process = subprocess.Popen(
            arguments,
            env={**environ, DESCRIPTOR: str(send)},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(send,),
            preexec_fn=before,
        )
    except OSError:
        os.close(receive)
        raise
    finally:
        os.close(send)
    return process, receive


def lines_to(pipe: IO[bytes], on_line: Callable[[str], None], on_event: Callable[[Record], None]) -> None:
    """Pass on what comes through `pipe`; event lines among the ordinary ones are events."""
    lines = Lines()
    while piece := os.read(pipe.fileno(), 65536):
        for line in lines.feed(piece):
            _pass_on(line, on_line, on_event)
    for line in lines.close():
        _pass_on(line, on_line, on_event)
    pipe.close()


def events_to(pipe: IO[bytes], on_event: Callable[[Record], None]) -> None:
    """Pass on the events that come through `pipe`, to its end."""
    with pipe:
        for line in pipe:
            if record := event.read(line.decode("utf-8", "replace").rstrip("\n")):
                on_event(record)


def reader(read: Callable[..., None], *arguments: object) -> threading.Thread:
    """A started thread that does `read`."""
    thread = threading.Thread(target=read, args=arguments, daemon=True)
    thread.start()
    return thread


def _pass_on(line: str, on_line: Callable[[str], None], on_event: Callable[[Record], None]) -> None:
    if record := event.read(line):
        on_event(record)
    else:
        on_line(line)


def _wait(process: "subprocess.Popen[bytes]", stop: Stop) -> int:
    try:
        with stop.armed():
            return process.wait()
    except Stopped:
        _end(process, stop)
        raise


def _end(process: "subprocess.Popen[bytes]", stop: Stop) -> None:
    """Ask it to end, and end it when it takes longer than the grace, or when a second signal comes."""
    process.terminate()
    try:
        with stop.armed():
            process.wait(grace())
    except (subprocess.TimeoutExpired, Stopped):
        process.kill()
        process.wait()


def grace() -> float:
    """Seconds that a part of a run has to end in, once it is told to stop."""
    try:
        return float(os.environ[GRACE])
    except (KeyError, ValueError):
        return GRACE_SECONDS
