"""Disk work in threads, in batches, and groups of tasks that succeed or fail together."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

DISK_THREADS = 2
BATCH_SIZE = 8

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class DiskTask:
    """One thing to do, and who waits for it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: "asyncio.Future[Any]"
    result: Any = None
    failure: Exception | None = None

    def run(self) -> None:
        """Do it, in the thread that this is."""
        try:
            self.result = self.function(*self.arguments)
        except Exception as error:
            self.failure = error

    def set_future(self) -> None:
        """Tell who waits, in the loop's thread."""
        if self.future.done():  # cancelled meanwhile
            return
        if self.failure:
            self.future.set_exception(self.failure)
        else:
            self.future.set_result(self.result)


class DiskExecutor:
    """Called in the loop. pool: of `THREADS`."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._waiting: deque[DiskTask] = deque()
        self._busy = 0

    async def __call__(self, act: Callable[..., T], *given: Any) -> T:
        """What `act` gives, or raises."""
        task = DiskTask(act, given, asyncio.get_running_loop().create_future())
        self._waiting.append(task)
        self._start_batches()
        result: T = await task.future
        return result

    def _start_batches(self) -> None:
        while self._waiting and self._busy < DISK_THREADS:
            some = [self._waiting.popleft() for _ in range(min(BATCH_SIZE, len(self._waiting)))]
            self._busy += 1
            self._pool.submit(self._run_batch, some, asyncio.get_running_loop())

    def _run_batch(self, tasks: Sequence[DiskTask], loop: asyncio.AbstractEventLoop) -> None:
        for task in tasks:
            task.run()
        with suppress(RuntimeError):  # the loop is over: nobody waits
            loop.call_soon_threadsafe(self._finish_batch, tasks)

    def _finish_batch(self, tasks: Sequence[DiskTask]) -> None:
        self._busy -= 1
        self._start_batches()
        for task in tasks:
            task.set_future()


class TaskGroup:
    """Started tasks."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """One more."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        if self._failure:
            task.cancel()

    async def finish(self) -> None:
        """Wait for all, those too that others start meanwhile. Raises the first failure."""
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        except BaseException:
            self._cancel_all()
            raise
        if self._failure:
            raise self._failure

    def _on_task_done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) and not self._failure:
            self._failure = failure
            self._cancel_all()

    def _cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()
