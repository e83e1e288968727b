"""Several episodes beside each other."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from robotrain_workloads.lerobot_eval.replay.asked import EpisodeReplayed
from robotrain_workloads.lerobot_eval.results.drawing import bars, figure


def summary(episodes: Sequence[EpisodeReplayed], path: Path) -> None:
    """Errors and speed of each, and the error of each number over all."""
    title = f"{len(episodes)} episodes: mse {fmean(one.mse for one in episodes):.4g}"
    made, ((mae, mse), (hertz, joints)) = figure.panels(2, 2, 11, 7.5, title)
    bars.spread(made)
    numbers = [str(one.episode) for one in episodes]
    bars.draw(mae, numbers, [one.mae for one in episodes], "mean absolute error by episode")
    bars.draw(mse, numbers, [one.mse for one in episodes], "mean squared error by episode")
    bars.draw(hertz, numbers, [one.throughput_hz for one in episodes], "actions a second by episode")
    names = list(episodes[0].each_mae)
    each = [fmean(one.each_mae[name] for one in episodes) for name in names]
    bars.draw(joints, names, each, "mean absolute error by number of the action")
    figure.save(made, path)
