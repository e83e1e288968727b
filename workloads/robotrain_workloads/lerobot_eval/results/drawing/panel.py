"""One episode at a glance."""

from pathlib import Path

from robotrain_workloads.lerobot_eval.replay.asked import EpisodeReplayed
from robotrain_workloads.lerobot_eval.results.drawing import bars, figure


def summary(one: EpisodeReplayed, fps: float, path: Path) -> None:
    """Its actions, the spread of their errors, the time of inference, and the mean error of each number."""
    title = f"Episode {one.episode}: {one.steps} frames, mse {one.mse:.4g}, mae {one.mae:.4g}"
    made, ((actions, spread), (times, errors)) = figure.panels(2, 2, 11, 7.5, title)
    bars.spread(made)
    names = list(one.each_mae)
    seconds = [frame / fps for frame in range(one.steps)]
    actions.set_title("recorded (lines) and predicted (dashes)", fontsize=9)
    for at in range(min(len(names), figure.MOST_NUMBERS)):
        (line,) = actions.plot(seconds, one.recorded[:, at])
        actions.plot(seconds, one.predicted[:, at], "--", color=line.get_color())
    actions.set_xlabel("seconds")
    spread.set_title("absolute error", fontsize=9)
    off = abs(one.predicted - one.recorded)
    spread.boxplot([off[:, at] for at in range(len(names))], showfliers=False)
    bars.label(spread, names, first=1)
    times.set_title("inference of one frame, in milliseconds", fontsize=9)
    times.plot(seconds, [1000 * taken for taken in one.seconds])
    times.set_xlabel("seconds")
    bars.draw(errors, names, list(one.each_mae.values()), "mean absolute error")
    figure.save(made, path)
