"""What is known of a run from its events, whichever platform it runs on."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from robotrain_runtime import event

from robotrain.amounts import size

HELD_OUT = "val/loss"
LOSS = "train/loss"


@dataclass(slots=True)
class Progress:
    """The state that events add up to. losses: (step, train/loss); metrics: the newest value of each name.

    machine: the newest values of the machine, which belong to no step. checkpoint: where the newest complete one lies;
    published: every copy, in the order made. warnings: what a person should know, errors among them. stage: the one
    begun last of those that go on, else of all. download: how far the data is.
    """

    stage: str = ""
    download: event.Download | None = None
    step: int | None = None
    total: int | None = None
    losses: list[tuple[int, float]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    held_out_at: int | None = None
    machine: dict[str, float] = field(default_factory=dict)
    checkpoint: str = ""
    checkpoint_step: int | None = None
    published: list[event.Published] = field(default_factory=list)
    registered: list[event.Registered] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tracking: dict[str, Any] | None = None
    outcome: event.Outcome | None = None
    _going_on: list[str] = field(default_factory=list)
    _first: tuple[float, int] | None = None
    _newest: float = 0.0

    def add(self, record: event.Record) -> None:
        """One more event."""
        happened = record.event
        match happened:
            case event.Metrics(step=int()):
                self._measured(record.time, happened)
            case event.Metrics():
                self.machine.update(happened.values)
            case event.Stage():
                self._stage(happened)
            case event.Download():
                self.download = happened
            case event.Checkpoint():
                self.checkpoint, self.checkpoint_step = happened.path, happened.step
            case event.Published():
                self.published.append(happened)
            case event.Withdrawn():
                self.published = [one for one in self.published if one.to != happened.to]
            case event.Registered():
                self.registered.append(happened)
            case event.Note(level="warning" | "error"):
                self.warnings.append(happened.text)
            case event.Tracking():
                self.tracking = {
                    "uri": happened.uri,
                    "experiment_id": happened.experiment_id,
                    "run_id": happened.run_id,
                    "ui": happened.ui,
                }
            case event.Outcome():
                self.outcome = happened
                if happened.state == "succeeded":
                    self.step = self.total or self.step  # the last window may have ended before the last step

    def _stage(self, happened: event.Stage) -> None:
        """Stages may overlap. Work that begins again goes on from a checkpoint: its steps are counted from there."""
        self._going_on = [name for name in self._going_on if name != happened.name]
        if happened.state != "started":
            self.stage = self._going_on[-1] if self._going_on else self.stage
            return
        self._going_on.append(happened.name)
        self.stage = happened.name
        if happened.name == "work":
            self._first, self.step, self.outcome = None, None, None

    def _measured(self, at: float, metrics: event.Metrics) -> None:
        assert metrics.step is not None
        self.metrics.update(metrics.values)
        if HELD_OUT in metrics.values:
            self.held_out_at = metrics.step
        if LOSS in metrics.values:
            self._lost(metrics.step, metrics.values[LOSS])
        self.total = metrics.total or self.total
        if metrics.step > (self.step or 0):
            self.step, self._newest = metrics.step, at
            self._first = self._first or (at, metrics.step)

    def _lost(self, step: int, loss: float) -> None:
        while self.losses and self.losses[-1][0] > step:  # steps that are done once more
            self.losses.pop()
        self.losses.append((step, loss))

    def copies(self, step: int | None) -> list[str]:
        """Where copies of a step's checkpoint can be found, each place once."""
        return list(dict.fromkeys(one.to for one in self.published if one.step == step))

    @property
    def tracking_ui(self) -> str:
        """The line that shows the tracking run."""
        return str((self.tracking or {}).get("ui") or "")

    @property
    def rate(self) -> float | None:
        """Steps a second since the first measured window; None before there are two."""
        if self._first is None or self.step is None or self.step == self._first[1]:
            return None
        return (self.step - self._first[1]) / max(1e-9, self._newest - self._first[0])

    @property
    def seconds_left(self) -> float | None:
        """Until the last step, at that rate; None when there is none, or no step is left."""
        if not self.rate or not self.total or self.step is None or self.step >= self.total:
            return None
        return (self.total - self.step) / self.rate

    def line(self, ended: bool = False) -> str:
        """Where training is, on one line; ended: where it came to."""
        if self.step is None:
            return self._downloaded(ended) if self.stage == "data" else self.stage
        share = f"/{self.total} ({self.step / self.total:.0%})" if self.total else ""
        parts = [f"step {self.step}{share}", *(f"loss {loss:.4g}" for _, loss in self.losses[-1:])]
        if HELD_OUT in self.metrics:
            parts.append(f"val {self.metrics[HELD_OUT]:.4g} at {self.held_out_at}")
        if self.rate:
            parts.append(f"{self.rate:.1f} steps/s")
        if self.seconds_left is not None and not ended:
            parts.append(f"{duration(self.seconds_left)} left")
        return "  ".join(parts)

    def _downloaded(self, ended: bool) -> str:
        """How far the data is; the stage alone before it is known."""
        if self.download is None:
            return self.stage
        done, total = self.download.done, self.download.total
        share = f" ({done / total:.0%})" if total else ""
        parts = [f"{self.stage}  {size(done)} of {size(total)}{share}"]
        if self.download.seconds_left and not ended:
            parts += [f"{size(self.download.rate)}/s", f"{duration(self.download.seconds_left)} left"]
        return "  ".join(parts)

    @staticmethod
    def describe(happened: event.Event) -> str:
        """An event as a line for people; empty for those that say nothing by themselves."""
        match happened:
            case event.Stage():
                took = f" in {duration(happened.seconds)}" if happened.seconds is not None else ""
                return f"{happened.name}: {happened.state}{took}" + (f" ({happened.detail})" if happened.detail else "")
            case event.Metrics(step=int(), values=measured) if measured:
                values = "  ".join(f"{name} {value:.4g}" for name, value in happened.values.items())
                return f"step {happened.step}: {values}"
            case event.Checkpoint():
                return f"checkpoint of step {happened.step}: {happened.path}"
            case event.Published():
                took = f" in {duration(happened.seconds)}" if happened.seconds is not None else ""
                return f"checkpoint of step {happened.step} published to {happened.to}{took}"
            case event.Withdrawn():
                return f"{happened.to} is removed: newer ones are there"
            case event.Registered():
                uri = f": {happened.uri}" if happened.uri else ""
                return (
                    f"checkpoint of step {happened.step} registered as {happened.name}, version {happened.version}{uri}"
                )
            case event.Note():
                return f"{happened.level}: {happened.text}"
            case event.Outcome():
                return f"{happened.state}, exit code {happened.exit_code}" + (
                    f": {happened.reason}" if happened.reason else ""
                )
        return ""


def read(lines: Iterable[str]) -> Progress:
    """The progress that a log tells."""
    progress = Progress()
    for line in lines:
        if line.startswith(event.PREFIX) and (record := event.read(line)):
            progress.add(record)
    return progress


def newest(lines: Iterable[str]) -> Progress:
    """The newest step and loss alone: of a log, or its end, no more is taken apart than they need."""
    records: list[event.Record] = []
    for line in reversed(list(lines)):
        if line.startswith(event.PREFIX) and (record := event.read(line)):
            records.append(record)
            if isinstance(record.event, event.Metrics) and LOSS in record.event.values:
                break
    progress = Progress()
    for record in reversed(records):
        progress.add(record)
    return progress


def duration(seconds: float) -> str:
    """`8 s`, `1:05 min`, `2:03 h`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    if whole < 48 * 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
