"""Pictures of replayed episodes: what was predicted beside what was recorded."""

from collections.abc import Sequence
from pathlib import Path

from robotrain_workloads.lerobot_eval.replay.asked import EpisodeReplayed
from robotrain_workloads.lerobot_eval.results.drawing import across, curves, heat, panel

DRAWN = 10
"""Episodes that have pictures of their own."""


def draw(episodes: Sequence[EpisodeReplayed], folder: Path, fps: float) -> None:
    """Four for each of the first episodes, and one of all where there are several."""
    for one in episodes[:DRAWN]:
        to = folder / f"episode_{one.episode:03d}"
        to.mkdir(parents=True)
        curves.actions(one, fps, to / "action_deltas.png")
        curves.sums(one, fps, to / "cumulative_positions.png")
        heat.errors(one, fps, to / "error_heatmap.png")
        panel.summary(one, fps, to / "summary_panel.png")
    if len(episodes) > 1:
        across.summary(episodes, folder / "aggregate_summary.png")
