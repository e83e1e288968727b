"""The agent: it runs on the login node, and calls functions of this package for another machine, one after another.

When the line ends in the middle of a call, the call is interrupted as by Ctrl-C; an sbatch that is at work then leaves
its answer in the run folder, as everywhere.
"""

import importlib
import io
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import attrgetter
from typing import IO, Any

from robotrain_slurm.login.frames import ALIVE, ALIVE_SECONDS, BrokenFrame, Frame, read_frame, write_frame
from robotrain_slurm.login.values import BadValue, decode, encode, encode_error

PACKAGE = "robotrain_slurm."
GRACE_SECONDS = 45.0
"""How long an interrupted call may take to end what it has started."""


class Answers:
    """The frames that go to the other machine, from several threads."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._lock = stream, threading.Lock()

    def write(self, blobs: list[bytes], **head: Any) -> None:
        """Write a frame. Raise OSError."""
        with self._lock:
            write_frame(self._stream, head, blobs)


class PrintedText(io.TextIOBase):
    """What is printed for the user, which appears on the other machine."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Send a text."""
        self._answers.write([], printed=text)
        return len(text)


def serve(source: IO[bytes], answer: IO[bytes]) -> None:
    """Answer calls until the line ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answers, calls = Answers(answer), queue.SimpleQueue[Frame | None]()
    sys.stderr = PrintedText(answers)
    threading.Thread(target=_read_calls, args=(source, calls), daemon=True).start()
    try:
        while frame := calls.get():
            with _say_alive(answers):
                _answer_call(frame, answers)
    except (KeyboardInterrupt, OSError):  # the line has ended
        pass
    sys.stderr = sys.__stderr__


def _read_calls(source: IO[bytes], calls: queue.SimpleQueue[Frame | None]) -> None:
    """Read calls until the line ends; then interrupt the one that is at work."""
    try:
        while frame := read_frame(source):
            calls.put(frame)
    except (BrokenFrame, OSError):
        pass
    calls.put(None)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


@contextmanager
def _say_alive(answers: Answers) -> Iterator[None]:
    """Tell the other machine from time to time that the call is at work."""
    ended = threading.Event()

    def repeat() -> None:
        with suppress(OSError):
            while not ended.wait(ALIVE_SECONDS):
                answers.write([], **{ALIVE: True})

    threading.Thread(target=repeat, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _answer_call(frame: Frame, answers: Answers) -> None:
    """Call a function and send what it returns or raises. Raise OSError, KeyboardInterrupt."""
    try:
        result = _find_function(frame.head["call"])(
            *decode(frame.head["values"], frame.blobs), **decode(frame.head["named"], frame.blobs)
        )
        if frame.head["streams"]:
            for item in result:
                blobs: list[bytes] = []
                answers.write(blobs, item=encode(item, blobs))
            result = None
        blobs = []
        answers.write(blobs, result=encode(result, blobs))
    except Exception as error:
        blobs = []
        answers.write(blobs, **encode_error(error, blobs))
    except KeyboardInterrupt as interrupt:
        answers.write([], **encode_error(interrupt, []))
        raise


def _find_function(path: str) -> Any:
    module, _, name = path.partition(":")
    if not module.startswith(PACKAGE):
        raise BadValue(f"{path} is not a function for login nodes")
    return attrgetter(name)(importlib.import_module(module))
