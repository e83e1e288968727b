"""Processes that share this one's memory as it is when they begin, with a pipe to each. None outlives this one."""

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any

PR_SET_PDEATHSIG = 1
Work = Callable[[int, Connection], None]
"""What a process does: its number among them, and its end of the pipe."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What a process says last when it cannot go on."""

    sentence: str
    details: str = ""


class Crew:
    """Within `with`: so many processes. They are ended where it ends."""

    def __init__(self, work: Work, count: int) -> None:
        self._work, self.count = work, count
        self._processes: list[Any] = []
        self._pipes: list[Connection] = []

    def __enter__(self) -> "Crew":
        with ExitStack() as begun:
            for number in range(self.count):
                self._begin(number, begun)
            self._ends = begun.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.kill()
        self._ends.close()

    def _begin(self, number: int, begun: ExitStack) -> None:
        forking = multiprocessing.get_context("fork")
        ours, theirs = forking.Pipe()
        begun.callback(ours.close)
        with theirs:  # closed here, so that the pipe ends with the process
            process = forking.Process(target=_be, args=(self._work, number, theirs, os.getpid()), daemon=True)
            process.start()
        begun.callback(process.join)
        begun.callback(process.kill)
        self._processes.append(process)
        self._pipes.append(ours)

    def send(self, number: int, message: Any) -> None:
        """To one of them. Raises SystemExit with a sentence when it ended."""
        try:
            self._pipes[number].send(message)
        except OSError:
            self._raise_dead(number)

    def receive(self, number: int) -> Any:
        """What one of them says next. Raises SystemExit with a sentence when it ended instead."""
        if (said := self._next(number)) is None:
            self._raise_dead(number)
        return said

    def all_said(self) -> Iterator[Any]:
        """What any of them says, until all have ended as they should. Raises SystemExit with a sentence when not."""
        open_ones = {pipe: number for number, pipe in enumerate(self._pipes)}
        while open_ones:
            for pipe in wait(list(open_ones)):
                assert isinstance(pipe, Connection)
                if (said := self._next(open_ones[pipe])) is not None:
                    yield said
                elif self._code(number := open_ones.pop(pipe)):
                    self._raise_dead(number)

    def _next(self, number: int) -> Any:
        """None when there is nothing more."""
        try:
            said = self._pipes[number].recv()
        except (EOFError, OSError):
            return None
        if isinstance(said, Failed):
            print(said.details, end="", file=sys.stderr, flush=True)
            raise SystemExit(said.sentence)
        return said

    def _code(self, number: int) -> int | None:
        self._processes[number].join()
        code: int | None = self._processes[number].exitcode
        return code

    def _raise_dead(self, number: int) -> None:
        code = self._code(number) or 0
        how = f" ({signal.Signals(-code).name}; the machine may have too little memory for them)" if code < 0 else ""
        raise SystemExit(
            f"error: process {number} of {self.count} that step environments ended with exit code {code}{how};"
            " with --env-workers 0 there are none"
        )


def _be(work: Work, number: int, pipe: Connection, parent: int) -> None:
    """The life of a process."""
    _belong_to(parent)
    try:
        work(number, pipe)
    except SystemExit as end:
        pipe.send(Failed(str(end.code)))
    except Exception as error:
        sentence = f"error: an episode failed: {type(error).__name__}: {error}"
        pipe.send(Failed(sentence, traceback.format_exc()))
    pipe.close()


def _belong_to(parent: int) -> None:
    """End with the process that this one comes from, whatever ends it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
