"""Several runs followed at once, until all are over or somebody has enough."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from robotrain.cli.watching.followed import Followed, Teller

if TYPE_CHECKING:
    from robotrain.run import RunRecord

TICK_SECONDS = 0.2


class Following:
    """The runs, in the order given; what happens to them is told to `teller`. A context: at its end nobody listens.

    ended: called with each that is over, once, in the thread that waits for them.
    """

    def __init__(
        self,
        opened: Sequence[tuple[RunRecord, Any]],
        teller: Teller,
        ended: Callable[[Followed], None] = lambda one: None,
        tail: int | None = None,
    ) -> None:
        self._one_ended = threading.Event()
        self._teller, self._ended, self._told = teller, ended, set[str]()
        self.runs = [Followed(record, platform, teller, self._one_ended, tail) for record, platform in opened]

    def __enter__(self) -> Following:
        for one in self.runs:
            one.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for one in self.runs:
            one.stop()

    @property
    def over(self) -> bool:
        """Whether every run is."""
        return all(one.over for one in self.runs)

    @property
    def going_on(self) -> list[Followed]:
        """The runs that are not over."""
        return [one for one in self.runs if not one.over]

    def until_over(self, seconds: float | None = None, enough: Callable[[], bool] = lambda: False) -> bool:
        """Wait until every run is over; False when it took longer than `seconds`, or somebody had enough."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self.over:
            left = TICK_SECONDS if end is None else min(TICK_SECONDS, end - time.monotonic())
            if left <= 0 or enough():
                return False
            self._one_ended.wait(left)
            self._one_ended.clear()
            self._teller.tick()
            self.tell_ended()
        return True

    def tell_ended(self) -> None:
        """Tell of those that are over and were not told of."""
        for one in self.runs:
            if one.over and one.record.run not in self._told:
                self._told.add(one.record.run)
                self._ended(one)
