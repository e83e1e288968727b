"""Files of an evaluation: results and the evaluated policy, in folders that are complete whenever they exist.

An interrupted attempt leaves only hidden files; the next one starts again.
"""

import hashlib
import importlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.checkpoint import MANIFEST

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.results import summary
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult, ReplayResult

SKIPPED_FILES = ("training_state", MANIFEST)
SHORT_DIGEST = 12


def write_results(result: EvaluationResult, folder: Path) -> None:
    """Write the results beside the videos. Plots need Matplotlib, and show only the first episodes."""
    result_files.write_json(folder / "eval_results.json", summary.make_summary(result))
    result_files.write_json(folder / "metrics.json", summary.make_metrics_report(result))
    result_files.write_lines(folder / "failure_cases.jsonl", result.rolled.list_failures() if result.rolled else ())
    if result.replayed:
        _write_predictions(result.replayed, folder / "predictions")
        plots: Any = importlib.import_module("robotrain_workloads.lerobot_eval.results.plots")
        plots.draw_plots(result.replayed.episodes, folder / "plots", result.about.fps or 1.0)


def _write_predictions(replayed: ReplayResult, folder: Path) -> None:
    numpy: Any = importlib.import_module("numpy")
    folder.mkdir()
    for episode in replayed.episodes:
        numpy.savez_compressed(
            folder / f"ep{episode.episode:03d}_predictions.npz",
            predicted=episode.predicted,
            ground_truth=episode.recorded,
            inference_times=numpy.asarray(episode.seconds, dtype="float64"),
        )


def copy_policy(loaded: LoadedPolicy, folder: Path, *, link: bool = False) -> None:
    """Copy the policy's files, or save an untrained one. `link` allows links to files that never change."""
    with result_files.fill_folder(folder) as partial:
        if loaded.folder is None:
            for component in (loaded.policy, loaded.preprocessor, loaded.postprocessor):
                component.save_pretrained(partial)
            return
        for path in list_policy_files(loaded.folder):
            target = partial / path.relative_to(loaded.folder)
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
    files = {path.relative_to(folder).as_posix(): path for path in list_policy_files(folder)}
    return model_lineage.hash_model_files(files)


def digest_statistics(root: Path) -> str:
    """Return the short digest of a dataset's statistics: copies have the same."""
    return hashlib.sha256((root / dataset.STATISTICS_FILE).read_bytes()).hexdigest()[:SHORT_DIGEST]
