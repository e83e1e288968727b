"""What takes the disk and the processor, done in other threads: what came meanwhile goes together, as switching from
thread to thread for every small file would cost more than the files.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

THREADS = 2
TOGETHER = 8

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Task:
    """One thing to do, and who waits for it."""

    act: Callable[..., Any]
    given: tuple[Any, ...]
    done: "asyncio.Future[Any]"
    result: Any = None
    failure: Exception | None = None

    def do(self) -> None:
        """Do it, in the thread that this is."""
        try:
            self.result = self.act(*self.given)
        except Exception as error:
            self.failure = error

    def tell(self) -> None:
        """Tell who waits, in the loop's thread."""
        if self.done.done():  # cancelled meanwhile
            return
        if self.failure:
            self.done.set_exception(self.failure)
        else:
            self.done.set_result(self.result)


class Aside:
    """Called in the loop. pool: of `THREADS`."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._waiting: deque[Task] = deque()
        self._busy = 0

    async def __call__(self, act: Callable[..., T], *given: Any) -> T:
        """What `act` gives, or raises."""
        task = Task(act, given, asyncio.get_running_loop().create_future())
        self._waiting.append(task)
        self._start()
        result: T = await task.done
        return result

    def _start(self) -> None:
        while self._waiting and self._busy < THREADS:
            some = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
            self._busy += 1
            self._pool.submit(self._do, some, asyncio.get_running_loop())

    def _do(self, tasks: Sequence[Task], loop: asyncio.AbstractEventLoop) -> None:
        for task in tasks:
            task.do()
        with suppress(RuntimeError):  # the loop is over: nobody waits
            loop.call_soon_threadsafe(self._done, tasks)

    def _done(self, tasks: Sequence[Task]) -> None:
        self._busy -= 1
        self._start()
        for task in tasks:
            task.tell()
