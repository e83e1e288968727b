"""Worker processes that inherit this one's memory. None outlives this process."""

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from robotrain_runtime.process.stop import end_with_parent

from robotrain_workloads.exit_status import WorkFailed

WorkerTask = Callable[[int, Connection], None]
"""Takes the number of the process and its end of the pipe."""
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT_BYTES, LARGEST_BLOCK = 256 << 20, 64 << 20


class WorkerFailure(NamedTuple):
    """The last message of a failed process."""

    sentence: str
    details: str = ""


class WorkerPool:
    """Processes that run within `with`, and are ended with it."""

    def __init__(self, work: WorkerTask, count: int) -> None:
        self._work, self.count = work, count
        self._processes: list[Any] = []
        self._pipes: list[Connection] = []

    def __enter__(self) -> "WorkerPool":
        with ExitStack() as stack:
            for number in range(self.count):
                forking = multiprocessing.get_context("fork")
                own_end, worker_end = forking.Pipe()
                stack.callback(own_end.close)
                with worker_end:  # closed here, so that the pipe ends with the process
                    process = forking.Process(
                        target=_run_worker, args=(self._work, number, worker_end, os.getpid()), daemon=True
                    )
                    process.start()
                stack.callback(process.join)
                stack.callback(process.kill)
                self._processes.append(process)
                self._pipes.append(own_end)
            self._ends = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.kill()
        self._ends.close()

    def send(self, number: int, message: Any) -> None:
        """Send to a process. Raise SystemExit with a sentence if it ended."""
        try:
            self._pipes[number].send(message)
        except OSError:
            self._raise_exit(number)

    def receive(self, number: int) -> Any:
        """Receive from a process. Raise SystemExit with a sentence if it ended."""
        if (message := self._receive_next(number)) is None:
            self._raise_exit(number)
        return message

    def receive_all(self) -> Iterator[Any]:
        """Yield messages of all processes until they end. Raise SystemExit with a sentence if one fails."""
        open_pipes = {pipe: number for number, pipe in enumerate(self._pipes)}
        while open_pipes:
            for pipe in wait(list(open_pipes)):
                assert isinstance(pipe, Connection)
                if (message := self._receive_next(open_pipes[pipe])) is not None:
                    yield message
                elif self._get_exit_code(number := open_pipes.pop(pipe)):
                    self._raise_exit(number)

    def _receive_next(self, number: int) -> Any:
        """Return the next message; None at the end."""
        try:
            message = self._pipes[number].recv()
        except (EOFError, OSError):
            return None
        if isinstance(message, WorkerFailure):
            print(message.details, end="", file=sys.stderr, flush=True)
            raise SystemExit(message.sentence)
        return message

    def _get_exit_code(self, number: int) -> int:
        self._processes[number].join()
        return int(self._processes[number].exitcode)

    def _raise_exit(self, number: int) -> None:
        code = self._get_exit_code(number)
        reason = f" ({signal.Signals(-code).name}; the machine may have too little memory for them)" if code < 0 else ""
        raise WorkFailed(
            f"worker process {number} of {self.count} ended with exit code {code}{reason};"
            " --env-workers 0 uses no worker processes"
        )


def _run_worker(work: WorkerTask, number: int, pipe: Connection, parent: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    try:
        work(number, pipe)
    except SystemExit as end:
        pipe.send(WorkerFailure(str(end.code)))
    except Exception as error:
        failure = WorkFailed(f"an episode failed: {type(error).__name__}: {error}")
        pipe.send(WorkerFailure(str(failure), traceback.format_exc()))
    pipe.close()


def retain_freed_memory() -> None:
    """Let GNU's C library keep freed memory, here and in later worker processes; others do so already.

    To give it back and request it again takes a third of the time in which an environment is rendered.
    """
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, LARGEST_BLOCK)
        library.mallopt(TRIM_THRESHOLD, KEPT_BYTES)
