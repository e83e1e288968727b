"""A question that is asked while something else goes on."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """What `ask` answers, in a thread that nobody waits for longer than he wants: one that hangs holds nothing up."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._began = time.monotonic()
        self._answer: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def answer(self, seconds: float) -> T:
        """Waited for until `seconds` after it was asked. Raises TimeoutError, and what `ask` raised."""
        self._thread.join(max(0.0, self._began + seconds - time.monotonic()))
        if self._error is not None:
            raise self._error
        if not self._answer:
            raise TimeoutError
        return self._answer[0]

    def _run(self) -> None:
        try:
            self._answer.append(self._ask())
        except Exception as error:
            self._error = error
