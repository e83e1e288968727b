"""One thing done to one item after another, in a thread of its own, again and again until it worked."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

LONGEST_PAUSE = 60.0
LAST_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between the tries that are left once nothing more comes."""

NO_TIME = "there was no time left"

Item = TypeVar("Item")


class Never(Exception):
    """Another try would not help. The text is why."""


class Halted(Exception):
    """The courier was told to drop what it does."""


class Courier(Generic[Item]):
    """Does `bring(item, halted)` with each item, in order; what fails is tried again, after pauses that grow.

    `bring` asks `halted()` now and then, and raises Halted when it says so. on_trouble: called with an item, why it
    failed, and whether it is tried again; once in a row of failures.
    """

    def __init__(
        self, bring: Callable[[Item, Callable[[], bool]], object], on_trouble: Callable[[Item, str, bool], object]
    ) -> None:
        self._bring = bring
        self._on_trouble = on_trouble
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._at: Item | None = None
        self._why = ""
        self._failures = 0
        self._given_up: list[tuple[Item, str]] = []
        self._finishing = self._halted = False
        self._last_pauses: Iterator[float] = iter(LAST_PAUSES)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether it still does something, or waits for more."""
        return self._thread.is_alive()

    @property
    def failing(self) -> bool:
        """Whether its last try failed."""
        return self._failures > 0

    def take(self, item: Item) -> None:
        """One more; returns at once."""
        with self._changed:
            self._waiting.append(item)
            self._changed.notify_all()

    def finish(self) -> None:
        """Nothing more comes: what is left is tried at once, and a few times more."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()

    def halt(self) -> None:
        """Drop everything; returns at once."""
        with self._changed:
            self._halted = self._finishing = True
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Wait for its end, but no longer."""
        self._thread.join(seconds)

    @property
    def left(self) -> list[tuple[Item, str]]:
        """What did not work until now, each with why."""
        with self._changed:
            behind = [*([self._at] if self._at is not None else []), *self._waiting]
            return [*self._given_up, *((item, self._why or NO_TIME) for item in behind)]

    def _run(self) -> None:
        while (item := self._next()) is not None:
            why = self._until_it_worked(item)
            with self._changed:
                self._at = None
                if why is not None:
                    self._given_up.append((item, why))

    def _next(self) -> Item | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._finishing)
            if self._waiting and not self._halted:
                self._at, self._why = self._waiting.popleft(), ""
            return self._at

    def _until_it_worked(self, item: Item) -> str | None:
        """Why it was given up; None when it worked."""
        while True:
            try:
                self._bring(item, lambda: self._halted)
            except Never as never:
                self._on_trouble(item, str(never), False)
                return str(never)
            except Halted:
                return self._why or NO_TIME
            except Exception as error:  # whatever it is: the run goes on, and hears of it
                self._why = words(error)
            else:
                self._failures, self._last_pauses = 0, iter(LAST_PAUSES)
                return None
            self._failures += 1
            if self._failures == 1:
                self._on_trouble(item, self._why, True)
            if not self._pause():
                return self._why

    def _pause(self) -> bool:
        """Wait for the next try; False when there is none."""
        with self._changed:
            finishing = self._finishing
            seconds = next(self._last_pauses, None) if finishing else min(LONGEST_PAUSE, 2.0 ** (self._failures - 1))
            if seconds is None or self._halted:
                return False
            self._changed.wait_for(lambda: self._halted or self._finishing != finishing, seconds)
            return not self._halted


def words(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    told = str(error) if isinstance(error, OSError | Never) else f"{type(error).__name__}: {error}"
    return (told.splitlines() or [type(error).__name__])[0]
