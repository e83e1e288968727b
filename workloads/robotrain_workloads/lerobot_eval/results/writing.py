"""Writes all files of an evaluation into one folder."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_eval.results import strict, summary, verdicts
from robotrain_workloads.lerobot_eval.results.found import Found, Replayed, Rolled


def write(found: Found, folder: Path) -> None:
    """Films are there already. Pictures need Matplotlib, and are drawn of the first episodes only."""
    strict.write(folder / "eval_results.json", summary.of(found))
    strict.write(folder / "metrics.json", verdicts.of(found))
    strict.write_lines(folder / "failure_cases.jsonl", _failures(found.rolled) if found.rolled else ())
    if found.replayed:
        _predictions(found.replayed, folder / "predictions")
        pictures: Any = importlib.import_module("robotrain_workloads.lerobot_eval.results.pictures")
        pictures.draw(found.replayed.episodes, folder / "plots", found.about.fps or 1.0)


def _failures(rolled: Rolled) -> Iterator[dict[str, Any]]:
    """What helps to look at each again: its seed starts the very same episode."""
    for one in rolled.episodes:
        if not one.success:
            told = {name: getattr(one, name) for name in ("seed", "steps", "sum_reward", "max_reward", "video")}
            yield {"episode": one.index, **told}


def _predictions(replayed: Replayed, folder: Path) -> None:
    numpy: Any = importlib.import_module("numpy")
    folder.mkdir()
    for one in replayed.episodes:
        numpy.savez_compressed(
            folder / f"ep{one.episode:03d}_predictions.npz",
            predicted=one.predicted,
            ground_truth=one.recorded,
            inference_times=numpy.asarray(one.seconds, dtype="float64"),
        )
