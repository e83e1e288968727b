"""Metrics of a program, sent as events at a rate that logs and views can take."""

import time
from collections.abc import Callable

from robotrain_runtime.contract.event import EventRecord, Metrics

from robotrain_workloads.supervision.metric_row import MetricRow

RATE = 2.0
"""Events per second."""
BURST = 200
"""How many may be sent at once after a while without any: a short training keeps each of its values."""


class MetricSender:
    """Sends rows of metrics. If there are too many, rows are left out, but never the last value of a name.

    A name belongs to the first source that has it: one value is not sent twice because it stands in two files.
    """

    def __init__(self, emit: Callable[[EventRecord], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._emit, self._clock = emit, clock
        self._began = time.time()
        self._owners: dict[str, object] = {}
        self._rows: dict[int, dict[str, float]] = {}
        self._times: dict[int, float] = {}
        self._total: int | None = None
        self.last_step: int | None = None
        """The step of the row that was added last; None before the first."""
        self.first_steps: list[int] = []
        """The first two steps that were told."""
        self._allowed, self._counted_at = float(BURST), clock()

    def claim(self, name: str, source: object) -> object:
        """Return the source that a name belongs to: this one from now on, if none before."""
        return self._owners.setdefault(name, source)

    def release(self, source: object) -> None:
        """Let the names of a source belong to others."""
        self._owners = {name: owner for name, owner in self._owners.items() if owner != source}

    def add(self, source: object, row: MetricRow) -> None:
        """Take a row, to be sent by `flush`."""
        self.last_step = row.step
        if len(self.first_steps) < 2 and not row.is_counted and row.step not in self.first_steps:
            self.first_steps.append(row.step)
        if row.total is not None and row.total != self._total:
            self._total = row.total
        claimed_values = {name: value for name, value in row.values.items() if self.claim(name, source) == source}
        if claimed_values or not row.values:
            self._rows.setdefault(row.step, {}).update(claimed_values)
            now = time.time()
            self._times[row.step] = row.time if self._began <= row.time <= now else now

    def flush(self, *, is_last: bool = False) -> None:
        """Send what may be sent now; at the end at least the last value of each name."""
        now = self._clock()
        self._allowed = min(float(BURST), self._allowed + RATE * (now - self._counted_at))
        self._counted_at = now
        if not self._rows or (self._allowed < 1 and not is_last):
            return
        steps = self._choose(max(1, int(self._allowed)))
        for step in steps:
            metrics = Metrics(values=self._rows[step], step=step, total=self._total)
            self._emit(EventRecord(self._times[step], metrics))
        self._allowed = max(0.0, self._allowed - len(steps))
        self._rows, self._times = {}, {}

    def _choose(self, count: int) -> list[int]:
        """Return the steps of at most `count` rows, evenly, and of those with the last value of a name."""
        steps = sorted(self._rows)  # sources that are read one after another tell of the same steps
        if len(steps) <= count:
            return steps
        last_steps = {name: step for step in steps for name in self._rows[step]}
        distance = len(steps) / count
        chosen_steps = {*last_steps.values(), *(steps[-1 - int(number * distance)] for number in range(count))}
        return [step for step in steps if step in chosen_steps]
