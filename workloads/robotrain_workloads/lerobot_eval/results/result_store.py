"""Files of an evaluation: results, plots, and the evaluated policy, in folders that are complete whenever they exist.

An interrupted attempt leaves only hidden files; the next one starts again. Matplotlib draws the plots without a screen:
predicted and recorded actions.
"""

import hashlib
import importlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.checkpoint import MANIFEST

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_eval.results import summary
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult, ReplayEpisode

RESULTS_FILE = "eval_results.json"
SKIPPED_FILES = ("training_state", MANIFEST)
SHORT_DIGEST = 12
MOST_PLOTTED = 10
"""Episodes with plots of their own."""
MOST_TICKS = 40
MOST_FLAT_LABELS = 5
"""More labels are rotated, so that they do not overlap."""
LONGEST_LABEL = 14
RECORDED, PREDICTED = "#1f77b4", "#d95f02"
DPI = 80
LABEL_ROOM = 1.1
"""Inches below each row of panels, for rotated labels."""
LEFT, RIGHT, ABOVE, BELOW = 1.1, 0.2, 0.6, 0.6
"""Margins, in inches."""
MOST_NUMBERS = 32
"""Action dimensions that are drawn: a humanoid has more than anyone looks at."""


def write_results(result: EvaluationResult, folder: Path) -> None:
    """Write the results beside the videos. Plots need Matplotlib, and show only the first episodes."""
    result_files.write_json(folder / RESULTS_FILE, summary.make_summary(result))
    result_files.write_json(folder / "metrics.json", summary.make_metrics_report(result))
    result_files.write_lines(folder / "failure_cases.jsonl", result.rolled.list_failures() if result.rolled else ())
    if result.replayed:
        import numpy

        (folder / "predictions").mkdir()
        for episode in result.replayed.episodes:
            numpy.savez_compressed(
                folder / "predictions" / f"ep{episode.episode:03d}_predictions.npz",
                predicted=episode.predicted,
                ground_truth=episode.recorded,
                inference_times=numpy.asarray(episode.seconds, dtype="float64"),
            )
        draw_plots(result.replayed.episodes, folder / "plots", result.fps or 1.0)


def copy_policy(model: Path, folder: Path, *, link: bool = False) -> None:
    """Copy the files of a policy. `link` allows links to files that never change."""
    with result_files.fill_folder(folder) as partial:
        for path in list_policy_files(model):
            target = partial / path.relative_to(model)
            target.parent.mkdir(parents=True, exist_ok=True)
            if link:
                with suppress(OSError):  # another disk, or one without links
                    os.link(path.resolve(), target)
                    continue
            shutil.copyfile(path, target)


def list_policy_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a policy, without training state and hidden files."""
    for path in sorted(folder.iterdir()):
        if path.name in SKIPPED_FILES or path.name.startswith("."):
            continue
        if path.is_dir():
            yield from list_policy_files(path)
        else:
            yield path


def digest_policy(folder: Path) -> str:
    """Return the SHA-256 of a policy, as registration computes it."""
    return model_lineage.hash_model_files(
        {path.relative_to(folder).as_posix(): path for path in list_policy_files(folder)}
    )


def digest_statistics(root: Path) -> str:
    """Return the short digest of a dataset's statistics: copies have the same."""
    return hashlib.sha256((root / dataset.STATISTICS_FILE).read_bytes()).hexdigest()[:SHORT_DIGEST]


def draw_plots(episodes: Sequence[ReplayEpisode], folder: Path, fps: float) -> None:
    """Draw two plots for each of the first episodes, and one of all if there are several."""
    for episode in episodes[:MOST_PLOTTED]:
        episode_folder = folder / f"episode_{episode.episode:03d}"
        episode_folder.mkdir(parents=True)
        plot_actions(episode, fps, episode_folder / "action_deltas.png")
        plot_episode_summary(episode, fps, episode_folder / "summary_panel.png")
    if len(episodes) > 1:
        plot_all_episodes(episodes, folder / "aggregate_summary.png")


def plot_actions(episode: ReplayEpisode, fps: float, path: Path) -> None:
    """Plot the recorded and the predicted values of each dimension of the actions."""
    action_names = list(episode.each_mae)[:MOST_NUMBERS]
    figure, rows = make_panels(
        len(action_names), 1, 9, 1.2 + 1.3 * len(action_names), f"Episode {episode.episode}: actions", sharex=True
    )
    seconds = [frame / fps for frame in range(episode.steps)]
    for index, action_name in enumerate(action_names):
        panel = rows[index][0]
        panel.plot(seconds, episode.recorded[:, index], color=RECORDED, label="recorded")
        panel.plot(seconds, episode.predicted[:, index], color=PREDICTED, label="predicted")
        panel.set_ylabel(shorten_label(action_name), fontsize=7)
    rows[0][0].legend(fontsize=8)
    rows[-1][0].set_xlabel("seconds")
    figure.savefig(path, dpi=DPI)


def plot_episode_summary(episode: ReplayEpisode, fps: float, path: Path) -> None:
    """Plot actions, spread of errors, inference time, and mean error of each dimension."""
    title = f"Episode {episode.episode}: {episode.steps} frames, mse {episode.mse:.4g}, mae {episode.mae:.4g}"
    figure, ((actions, spread), (times, errors)) = make_panels(2, 2, 11, 7.5, title)
    figure.subplots_adjust(bottom=LABEL_ROOM / figure.get_figheight(), hspace=0.65)
    action_names = list(episode.each_mae)
    seconds = [frame / fps for frame in range(episode.steps)]
    actions.set_title("recorded (lines) and predicted (dashes)", fontsize=9)
    for index in range(min(len(action_names), MOST_NUMBERS)):
        (plotted_line,) = actions.plot(seconds, episode.recorded[:, index])
        actions.plot(seconds, episode.predicted[:, index], "--", color=plotted_line.get_color())
    actions.set_xlabel("seconds")
    spread.set_title("absolute error", fontsize=9)
    absolute_errors = abs(episode.predicted - episode.recorded)
    spread.boxplot([absolute_errors[:, index] for index in range(len(action_names))], showfliers=False)
    label_bars(spread, action_names, first_position=1)
    times.set_title("inference time (ms/frame)", fontsize=9)
    times.plot(seconds, [1000 * latency for latency in episode.seconds])
    times.set_xlabel("seconds")
    draw_bars(errors, action_names, list(episode.each_mae.values()), "mean absolute error")
    figure.savefig(path, dpi=DPI)


def plot_all_episodes(episodes: Sequence[ReplayEpisode], path: Path) -> None:
    """Plot errors and speed of each episode, and the error of each dimension over all."""
    figure, ((mae, mse), (hertz, joints)) = make_panels(
        2, 2, 11, 7.5, f"{len(episodes)} episodes: mse {fmean(episode.mse for episode in episodes):.4g}"
    )
    figure.subplots_adjust(bottom=LABEL_ROOM / figure.get_figheight(), hspace=0.65)
    episode_labels = [str(episode.episode) for episode in episodes]
    draw_bars(mae, episode_labels, [episode.mae for episode in episodes], "mean absolute error by episode")
    draw_bars(mse, episode_labels, [episode.mse for episode in episodes], "mean squared error by episode")
    draw_bars(hertz, episode_labels, [episode.throughput_hz for episode in episodes], "actions/s by episode")
    action_names = list(episodes[0].each_mae)
    means = [fmean(episode.each_mae[action_name] for episode in episodes) for action_name in action_names]
    draw_bars(joints, action_names, means, "mean absolute error by action dimension")
    figure.savefig(path, dpi=DPI)


def draw_bars(panel: Any, bar_names: Sequence[str], heights: Sequence[float], title: str) -> None:
    """Draw a bar for each name."""
    panel.set_title(title, fontsize=9)
    panel.bar(range(len(bar_names)), heights, color=RECORDED)
    label_bars(panel, bar_names)


def label_bars(panel: Any, bar_names: Sequence[str], first_position: int = 0) -> None:
    """Label the x axis; `first_position` is the position of the first name."""
    ticks = choose_ticks(bar_names)
    labels = [shorten_label(bar_names[index]) for index in ticks]
    rotation = 90 if len(ticks) > MOST_FLAT_LABELS else 0
    panel.set_xticks([index + first_position for index in ticks], labels, fontsize=7, rotation=rotation)


def shorten_label(name: str) -> str:
    """Return the end of a long name, which tells joints apart."""
    return name if len(name) <= LONGEST_LABEL else f"…{name[1 - LONGEST_LABEL :]}"


def make_panels(rows: int, columns: int, width: float, height: float, title: str, **options: Any) -> tuple[Any, Any]:
    """Return a figure of `width` by `height` inches, and its panels as rows.

    Margins are fixed: measuring every text takes as long as drawing.
    """
    figure: Any = importlib.import_module("matplotlib.figure").Figure(figsize=(width, height))
    figure.suptitle(title, fontsize=11, y=1 - 0.1 / height, va="top")
    figure.subplots_adjust(
        LEFT / width, BELOW / height, 1 - RIGHT / width, 1 - ABOVE / height, wspace=0.15, hspace=0.15
    )
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def choose_ticks(values: Any) -> list[int]:
    """Return positions of ticks whose labels do not overlap."""
    return list(range(0, len(values), -(-len(values) // MOST_TICKS)))
