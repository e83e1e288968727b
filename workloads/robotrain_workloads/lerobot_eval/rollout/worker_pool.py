"""Worker processes that share this one's memory as it is when they start. None outlives this process.

A C library that gives such memory back, and asks for it anew,
spends a third of the time in which an environment is drawn on that.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any

PR_SET_PDEATHSIG = 1
WorkerTask = Callable[[int, Connection], None]
"""What a process does: its number among them, and its end of the pipe."""


@dataclass(frozen=True, slots=True)
class WorkerFailure:
    """What a process says last when it cannot go on."""

    sentence: str
    details: str = ""


class WorkerPool:
    """Within `with`: so many processes. They are ended where it ends."""

    def __init__(self, work: WorkerTask, count: int) -> None:
        self._work, self.count = work, count
        self._processes: list[Any] = []
        self._pipes: list[Connection] = []

    def __enter__(self) -> "WorkerPool":
        with ExitStack() as begun:
            for number in range(self.count):
                self._start_worker(number, begun)
            self._ends = begun.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
        self._ends.close()

    def _start_worker(self, number: int, stack: ExitStack) -> None:
        forking = multiprocessing.get_context("fork")
        ours, theirs = forking.Pipe()
        stack.callback(ours.close)
        with theirs:  # closed here, so that the pipe ends with the process
            process = forking.Process(target=_run_worker, args=(self._work, number, theirs, os.getpid()), daemon=True)
            process.start()
        stack.callback(process.join)
        stack.callback(process.kill)
        self._processes.append(process)
        self._pipes.append(ours)

    def send(self, number: int, message: Any) -> None:
        """To one of them. Raises SystemExit with a sentence when it ended."""
        try:
            self._pipes[number].send(message)
        except OSError:
            self._raise_exit(number)

    def receive(self, number: int) -> Any:
        """What one of them says next. Raises SystemExit with a sentence when it ended instead."""
        if (said := self._receive_next(number)) is None:
            self._raise_exit(number)
        return said

    def receive_all(self) -> Iterator[Any]:
        """What any of them says, until all have ended as they should. Raises SystemExit with a sentence when not."""
        open_ones = {pipe: number for number, pipe in enumerate(self._pipes)}
        while open_ones:
            for pipe in wait(list(open_ones)):
                assert isinstance(pipe, Connection)
                if (said := self._receive_next(open_ones[pipe])) is not None:
                    yield said
                elif self._get_exit_code(number := open_ones.pop(pipe)):
                    self._raise_exit(number)

    def _receive_next(self, number: int) -> Any:
        """None when there is nothing more."""
        try:
            said = self._pipes[number].recv()
        except (EOFError, OSError):
            return None
        if isinstance(said, WorkerFailure):
            print(said.details, end="", file=sys.stderr, flush=True)
            raise SystemExit(said.sentence)
        return said

    def _get_exit_code(self, number: int) -> int | None:
        self._processes[number].join()
        code: int | None = self._processes[number].exitcode
        return code

    def _raise_exit(self, number: int) -> None:
        code = self._get_exit_code(number) or 0
        how = f" ({signal.Signals(-code).name}; the machine may have too little memory for them)" if code < 0 else ""
        raise SystemExit(
            f"error: process {number} of {self.count} that step environments ended with exit code {code}{how};"
            " with --env-workers 0 there are none"
        )


def _run_worker(work: WorkerTask, number: int, pipe: Connection, parent: int) -> None:
    """The life of a process."""
    _end_with_parent(parent)
    try:
        work(number, pipe)
    except SystemExit as end:
        pipe.send(WorkerFailure(str(end.code)))
    except Exception as error:
        sentence = f"error: an episode failed: {type(error).__name__}: {error}"
        pipe.send(WorkerFailure(sentence, traceback.format_exc()))
    pipe.close()


def _end_with_parent(parent: int) -> None:
    """End with the process that this one comes from, whatever ends it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT_BYTES, LARGEST_BLOCK = 256 << 20, 64 << 20


def retain_freed_memory() -> None:
    """Have it kept, here and in processes that begin from here on. Other C libraries than GNU's do as they do."""
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, LARGEST_BLOCK)
        library.mallopt(TRIM_THRESHOLD, KEPT_BYTES)
