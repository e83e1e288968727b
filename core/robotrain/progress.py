"""What is known of a run from its events, whichever platform it runs on."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from robotrain_runtime import event


@dataclass(slots=True)
class Progress:
    """The state that events add up to. losses: (step, train/loss); metrics: the newest value of each name."""

    stage: str = ""
    step: int | None = None
    total: int | None = None
    losses: list[tuple[int, float]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    held_out_at: int | None = None
    checkpoint: str = ""
    tracking: dict[str, Any] | None = None
    outcome: event.Outcome | None = None
    _first: tuple[float, int] | None = None
    _newest: float = 0.0

    def add(self, record: event.Record) -> None:
        """One more event."""
        happened = record.event
        match happened:
            case event.Stage():
                self.stage = happened.name if happened.state == "started" else self.stage
            case event.Metrics(step=int()):
                self._measured(record.time, happened)
            case event.Checkpoint():
                self.checkpoint = happened.path
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

    def _measured(self, at: float, metrics: event.Metrics) -> None:
        assert metrics.step is not None
        self.metrics.update(metrics.values)
        if "val/loss" in metrics.values:
            self.held_out_at = metrics.step
        if "train/loss" in metrics.values:
            self.losses.append((metrics.step, metrics.values["train/loss"]))
        self.total = metrics.total or self.total
        if metrics.step > (self.step or 0):
            self.step, self._newest = metrics.step, at
            self._first = self._first or (at, metrics.step)

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

    def line(self) -> str:
        """Where training is, on one line."""
        if self.step is None:
            return self.stage
        share = f"/{self.total} ({self.step / self.total:.0%})" if self.total else ""
        parts = [f"step {self.step}{share}", *(f"loss {loss:.4g}" for _, loss in self.losses[-1:])]
        if "val/loss" in self.metrics:
            parts.append(f"val {self.metrics['val/loss']:.4g} at {self.held_out_at}")
        if self.rate:
            parts.append(f"{self.rate:.1f} steps/s")
            if self.total and self.step < self.total:
                parts.append(f"{duration((self.total - self.step) / self.rate)} left")
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


def duration(seconds: float) -> str:
    """`8 s`, `1:05 min`, `2:03 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
