"""Metrics of a program, sent as events at a rate that logs and views can take."""

import time
from collections.abc import Callable

from robotrain_runtime.contract.event import EventRecord, Metrics, Unit

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
        self._rows: dict[tuple[Unit, int], dict[str, float]] = {}
        self._times: dict[tuple[Unit, int], float] = {}
        self._totals: dict[Unit, int] = {}
        self.first_step: int | None = None
        """The first step that was told; None before, and if it is an epoch or the number of a value."""
        self.last_step: int | None = None
        """The step or epoch that was told last; None before the first."""
        self._allowed, self._counted_at = float(BURST), clock()

    def claim(self, name: str, source: object) -> object:
        """Return the source that a name belongs to: this one from now on, if none before."""
        return self._owners.setdefault(name, source)

    def release(self, source: object) -> None:
        """Let the names of a source belong to others."""
        self._owners = {name: owner for name, owner in self._owners.items() if owner != source}

    def add(self, source: object, row: MetricRow) -> None:
        """Take a row, to be sent by `flush`."""
        if row.unit != "value":
            self.last_step = row.step
        if self.first_step is None and row.unit == "step":
            self.first_step = row.step
        if row.total is not None:
            self._totals[row.unit] = row.total
        claimed_values = {name: value for name, value in row.values.items() if self.claim(name, source) == source}
        if claimed_values or not row.values:
            position = row.unit, row.step
            self._rows.setdefault(position, {}).update(claimed_values)
            now = time.time()
            self._times[position] = row.time if self._began <= row.time <= now else now

    def flush(self, *, is_last: bool = False) -> None:
        """Send what may be sent now; at the end at least the last value of each name."""
        now = self._clock()
        self._allowed = min(float(BURST), self._allowed + RATE * (now - self._counted_at))
        self._counted_at = now
        if not self._rows or (self._allowed < 1 and not is_last):
            return
        positions = self._choose(max(1, int(self._allowed)))
        for unit, step in positions:
            self._emit(
                EventRecord(
                    self._times[unit, step],
                    Metrics(values=self._rows[unit, step], step=step, total=self._totals.get(unit), unit=unit),
                )
            )
        self._allowed = max(0.0, self._allowed - len(positions))
        self._rows, self._times = {}, {}

    def _choose(self, count: int) -> list[tuple[Unit, int]]:
        """Return where at most `count` rows are, evenly, and those with the last value of a name.

        Epochs come last: beside values that are counted, they are what is told of the progress.
        """
        positions = sorted(self._rows, key=lambda position: (position[0] == "epoch", position[1]))
        if len(positions) <= count:
            return positions
        last_positions = {name: position for position in positions for name in self._rows[position]}
        distance = len(positions) / count
        chosen_positions = {
            *last_positions.values(),
            *(positions[-1 - int(number * distance)] for number in range(count)),
        }
        return [position for position in positions if position in chosen_positions]
