"""Tasks that succeed together: the first failure ends all of them."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Crew:
    """Started tasks."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """One more."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        if self._failure:
            task.cancel()

    async def finish(self) -> None:
        """Wait for all, those too that others start meanwhile. Raises the first failure."""
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        except BaseException:
            self._cancel()
            raise
        if self._failure:
            raise self._failure

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) and not self._failure:
            self._failure = failure
            self._cancel()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
