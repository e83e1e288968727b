"""The submitted runs of a sweep, and their results as a table or as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain import Run, RunEnded

from robotrain_sweep.grid import Point

LOSSES = ("val/loss", "train/loss")
"""The metrics to compare runs by, in order of preference."""


@dataclass
class SubmittedPoint:
    """A run of a sweep, its last known state, and its last losses once it ended."""

    run: Run
    point: Point
    state: str = "sent"
    losses: Mapping[str, float] | None = None

    def wait(self) -> None:
        """Wait until the run has ended, in whatever state."""
        try:
            self.state = self.run.wait().state
        except RunEnded as ended:
            self.state = ended.status.state
        metrics = self.run.progress().metrics
        self.losses = {name: metrics[name] for name in LOSSES if name in metrics}


def format_table(runs: Sequence[SubmittedPoint]) -> str:
    """Return a table of the runs with the values that differ, and the best loss metric that any of them has."""
    metrics = [name for name in LOSSES if any(one.losses and name in one.losses for one in runs)][:1]
    rows = [["RUN", *(name.upper() for name in runs[0].point), "STATE", *(name.upper() for name in metrics)]]
    for one in runs:
        losses = [f"{(one.losses or {}).get(name, float('nan')):.4g}" for name in metrics]
        rows.append([one.run.name, *one.point.values(), one.state, *losses])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def make_data(runs: Sequence[SubmittedPoint]) -> dict[str, Any]:
    """Return the runs as data; keys are only ever added."""
    return {
        "runs": [
            {"run": one.run.name, "values": dict(one.point), "state": one.state, "losses": dict(one.losses or {})}
            for one in runs
        ]
    }
