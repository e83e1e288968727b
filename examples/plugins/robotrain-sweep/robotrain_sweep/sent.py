"""The runs that were sent: how each is, as people and programs read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain import Run, RunEnded

from robotrain_sweep.grid import Point

LOSSES = ("val/loss", "train/loss")
"""What runs are compared by, the first that they tell."""


@dataclass
class Sent:
    """One run. state: as when it was last asked. losses: the last values that it told, once it ended."""

    run: Run
    point: Point
    state: str = "sent"
    losses: Mapping[str, float] | None = None

    def wait(self) -> None:
        """Until it has ended, well or not."""
        try:
            self.state = self.run.wait().state
        except RunEnded as ended:
            self.state = ended.status.state
        metrics = self.run.progress().metrics
        self.losses = {name: metrics[name] for name in LOSSES if name in metrics}


def table(sent: Sequence[Sent]) -> str:
    """The runs below each other, the values that they differ in beside them."""
    measured = [name for name in LOSSES if any(one.losses and name in one.losses for one in sent)][:1]
    rows = [["RUN", *(name.upper() for name in sent[0].point), "STATE", *(name.upper() for name in measured)]]
    for one in sent:
        shown = [f"{(one.losses or {}).get(name, float('nan')):.4g}" for name in measured]
        rows.append([one.run.name, *one.point.values(), one.state, *shown])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def data(sent: Sequence[Sent]) -> dict[str, Any]:
    """The same for programs; keys are only ever added."""
    return {
        "runs": [
            {"run": one.run.name, "values": dict(one.point), "state": one.state, "losses": dict(one.losses or {})}
            for one in sent
        ]
    }
