"""Errors by number of the action and time."""

from pathlib import Path

from robotrain_workloads.lerobot_eval.replay.asked import EpisodeReplayed
from robotrain_workloads.lerobot_eval.results.drawing import bars, figure


def errors(one: EpisodeReplayed, fps: float, path: Path) -> None:
    """Dark is where the policy does as was recorded."""
    names = list(one.each_mae)
    made, ((panel,),) = figure.panels(1, 1, 9, 2 + 0.2 * len(names), f"Episode {one.episode}: error of each action")
    off = abs(one.predicted - one.recorded).T
    drawn = panel.imshow(off, aspect="auto", interpolation="nearest", extent=(0, one.steps / fps, len(names), 0))
    shown = figure.few(names)
    panel.set_yticks([at + 0.5 for at in shown], [bars.shortened(names[at]) for at in shown], fontsize=7)
    panel.set_xlabel("seconds")
    made.colorbar(drawn, ax=panel, label="absolute error")
    figure.save(made, path)
