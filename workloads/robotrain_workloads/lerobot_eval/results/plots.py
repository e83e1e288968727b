"""Plots of replayed episodes, drawn by Matplotlib without a screen: predicted beside recorded actions."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from robotrain_workloads.lerobot_eval.results.evaluation import ReplayEpisode

MOST_PLOTTED = 10
"""Episodes that have pictures of their own."""


def draw_plots(episodes: Sequence[ReplayEpisode], folder: Path, fps: float) -> None:
    """Four for each of the first episodes, and one of all where there are several."""
    for one in episodes[:MOST_PLOTTED]:
        to = folder / f"episode_{one.episode:03d}"
        to.mkdir(parents=True)
        plot_actions(one, fps, to / "action_deltas.png")
        plot_action_sums(one, fps, to / "cumulative_positions.png")
        plot_error_heatmap(one, fps, to / "error_heatmap.png")
        plot_episode_summary(one, fps, to / "summary_panel.png")
    if len(episodes) > 1:
        plot_all_episodes(episodes, folder / "aggregate_summary.png")


def plot_actions(episode: ReplayEpisode, fps: float, path: Path) -> None:
    """As they are."""
    _plot_curves(episode, episode.recorded, episode.predicted, fps, f"Episode {episode.episode}: actions", path)


def plot_action_sums(episode: ReplayEpisode, fps: float, path: Path) -> None:
    """Added up to each moment: where actions are steps, this is the position that they lead to."""
    title = f"Episode {episode.episode}: actions added up (the position, where actions are steps)"
    _plot_curves(episode, episode.recorded.cumsum(axis=0), episode.predicted.cumsum(axis=0), fps, title, path)


def _plot_curves(episode: ReplayEpisode, recorded: Any, predicted: Any, fps: float, title: str, path: Path) -> None:
    names = list(episode.each_mae)[:MOST_NUMBERS]
    made, rows = make_panels(len(names), 1, 9, 1.2 + 1.3 * len(names), title, sharex=True)
    seconds = [frame / fps for frame in range(episode.steps)]
    for at, name in enumerate(names):
        panel = rows[at][0]
        panel.plot(seconds, recorded[:, at], color=RECORDED, label="recorded")
        panel.plot(seconds, predicted[:, at], color=PREDICTED, label="predicted")
        panel.set_ylabel(shorten_label(name), fontsize=7)
    rows[0][0].legend(fontsize=8)
    rows[-1][0].set_xlabel("seconds")
    save_figure(made, path)


def plot_error_heatmap(episode: ReplayEpisode, fps: float, path: Path) -> None:
    """Dark is where the policy does as was recorded."""
    names = list(episode.each_mae)
    made, ((panel,),) = make_panels(1, 1, 9, 2 + 0.2 * len(names), f"Episode {episode.episode}: error of each action")
    off = abs(episode.predicted - episode.recorded).T
    drawn = panel.imshow(off, aspect="auto", interpolation="nearest", extent=(0, episode.steps / fps, len(names), 0))
    shown = choose_ticks(names)
    panel.set_yticks([at + 0.5 for at in shown], [shorten_label(names[at]) for at in shown], fontsize=7)
    panel.set_xlabel("seconds")
    made.colorbar(drawn, ax=panel, label="absolute error")
    save_figure(made, path)


def plot_episode_summary(episode: ReplayEpisode, fps: float, path: Path) -> None:
    """Its actions, the spread of their errors, the time of inference, and the mean error of each number."""
    title = f"Episode {episode.episode}: {episode.steps} frames, mse {episode.mse:.4g}, mae {episode.mae:.4g}"
    made, ((actions, spread), (times, errors)) = make_panels(2, 2, 11, 7.5, title)
    make_label_room(made)
    names = list(episode.each_mae)
    seconds = [frame / fps for frame in range(episode.steps)]
    actions.set_title("recorded (lines) and predicted (dashes)", fontsize=9)
    for at in range(min(len(names), MOST_NUMBERS)):
        (line,) = actions.plot(seconds, episode.recorded[:, at])
        actions.plot(seconds, episode.predicted[:, at], "--", color=line.get_color())
    actions.set_xlabel("seconds")
    spread.set_title("absolute error", fontsize=9)
    off = abs(episode.predicted - episode.recorded)
    spread.boxplot([off[:, at] for at in range(len(names))], showfliers=False)
    label_bars(spread, names, first=1)
    times.set_title("inference of one frame, in milliseconds", fontsize=9)
    times.plot(seconds, [1000 * taken for taken in episode.seconds])
    times.set_xlabel("seconds")
    draw_bars(errors, names, list(episode.each_mae.values()), "mean absolute error")
    save_figure(made, path)


def plot_all_episodes(episodes: Sequence[ReplayEpisode], path: Path) -> None:
    """Errors and speed of each, and the error of each number over all."""
    title = f"{len(episodes)} episodes: mse {fmean(one.mse for one in episodes):.4g}"
    made, ((mae, mse), (hertz, joints)) = make_panels(2, 2, 11, 7.5, title)
    make_label_room(made)
    numbers = [str(one.episode) for one in episodes]
    draw_bars(mae, numbers, [one.mae for one in episodes], "mean absolute error by episode")
    draw_bars(mse, numbers, [one.mse for one in episodes], "mean squared error by episode")
    draw_bars(hertz, numbers, [one.throughput_hz for one in episodes], "actions a second by episode")
    names = list(episodes[0].each_mae)
    each = [fmean(one.each_mae[name] for one in episodes) for name in names]
    draw_bars(joints, names, each, "mean absolute error by number of the action")
    save_figure(made, path)


MOST_FLAT_LABELS = 5
"""More names than that are turned, so as not to overlap."""
LONGEST_LABEL = 14


def draw_bars(panel: Any, names: Sequence[str], values: Sequence[float], title: str) -> None:
    """One a name."""
    panel.set_title(title, fontsize=9)
    panel.bar(range(len(names)), values, color=RECORDED)
    label_bars(panel, names)


def label_bars(panel: Any, names: Sequence[str], first: int = 0) -> None:
    """Names below a panel that has one thing for each; first: where the first one is."""
    shown = choose_ticks(names)
    texts, turned = [shorten_label(names[at]) for at in shown], 90 if len(shown) > MOST_FLAT_LABELS else 0
    panel.set_xticks([at + first for at in shown], texts, fontsize=7, rotation=turned)


def make_label_room(figure: Any) -> None:
    """Makes room for turned names below each row of panels."""
    height = figure.get_figheight()
    figure.subplots_adjust(bottom=1.1 / height, hspace=0.65)


def shorten_label(name: str) -> str:
    """The end of a long name: it is what tells joints apart."""
    return name if len(name) <= LONGEST_LABEL else f"…{name[1 - LONGEST_LABEL :]}"


RECORDED, PREDICTED = "#1f77b4", "#d95f02"
DPI = 80
LEFT, RIGHT, ABOVE, BELOW = 1.1, 0.2, 0.6, 0.6
"""Margins, in inches."""
MOST_NUMBERS = 32
"""Numbers of an action that are drawn: a humanoid has more than anyone looks at."""


def make_panels(rows: int, columns: int, width: float, height: float, title: str, **named: Any) -> tuple[Any, Any]:
    """The figure, and its panels as a list of rows. width, height: of all of it, in inches.

    Margins are fixed: to measure every text first takes as long as to draw.
    """
    made: Any = importlib.import_module("matplotlib.figure").Figure(figsize=(width, height))
    made.suptitle(title, fontsize=11, y=1 - 0.1 / height, va="top")
    made.subplots_adjust(LEFT / width, BELOW / height, 1 - RIGHT / width, 1 - ABOVE / height, wspace=0.15, hspace=0.15)
    return made, made.subplots(rows, columns, squeeze=False, **named)


def save_figure(figure: Any, path: Path) -> None:
    """As PNG."""
    figure.savefig(path, dpi=DPI)


def choose_ticks(values: Any, most: int = 40) -> list[int]:
    """Places for marks on an axis, so that their texts do not overlap."""
    every = -(-len(values) // most)
    return list(range(0, len(values), every))
