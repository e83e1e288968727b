"""Actions over time, recorded and predicted, one panel for each number of the action."""

from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_eval.replay.asked import EpisodeReplayed
from robotrain_workloads.lerobot_eval.results.drawing import bars, figure


def actions(one: EpisodeReplayed, fps: float, path: Path) -> None:
    """As they are."""
    _draw(one, one.recorded, one.predicted, fps, f"Episode {one.episode}: actions", path)


def sums(one: EpisodeReplayed, fps: float, path: Path) -> None:
    """Added up to each moment: where actions are steps, this is the position that they lead to."""
    title = f"Episode {one.episode}: actions added up (the position, where actions are steps)"
    _draw(one, one.recorded.cumsum(axis=0), one.predicted.cumsum(axis=0), fps, title, path)


def _draw(one: EpisodeReplayed, recorded: Any, predicted: Any, fps: float, title: str, path: Path) -> None:
    names = list(one.each_mae)[: figure.MOST_NUMBERS]
    made, rows = figure.panels(len(names), 1, 9, 1.2 + 1.3 * len(names), title, sharex=True)
    seconds = [frame / fps for frame in range(one.steps)]
    for at, name in enumerate(names):
        panel = rows[at][0]
        panel.plot(seconds, recorded[:, at], color=figure.RECORDED, label="recorded")
        panel.plot(seconds, predicted[:, at], color=figure.PREDICTED, label="predicted")
        panel.set_ylabel(bars.shortened(name), fontsize=7)
    rows[0][0].legend(fontsize=8)
    rows[-1][0].set_xlabel("seconds")
    figure.save(made, path)
