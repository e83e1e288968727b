"""Files of an evaluation: results and the evaluated policy, in folders that are complete whenever they exist.

An interrupted attempt leaves only hidden files; the next one starts again.
"""

import hashlib
import importlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.checkpoint import MANIFEST

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.results import scores, summary
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult, ReplayResult, RolloutResult

SKIPPED_FILES = ("training_state", MANIFEST)
SHORT_DIGEST = 12


def write_results(result: EvaluationResult, folder: Path) -> None:
    """Write the results beside the videos. Plots need Matplotlib, and show only the first episodes."""
    write_json(folder / "eval_results.json", summary.make_summary(result))
    write_json(folder / "metrics.json", scores.make_metrics_report(result))
    failures = [json.dumps(case, allow_nan=False) + "\n" for case in _list_failures(result.rolled)]
    (folder / "failure_cases.jsonl").write_text("".join(failures), encoding="utf-8")
    if result.replayed:
        _write_predictions(result.replayed, folder / "predictions")
        plots: Any = importlib.import_module("robotrain_workloads.lerobot_eval.results.plots")
        plots.draw_plots(result.replayed.episodes, folder / "plots", result.about.fps or 1.0)


def _list_failures(rolled: RolloutResult | None) -> Iterator[Any]:
    """Yield what helps to repeat each failed episode: its seed starts the same one."""
    for episode in rolled.episodes if rolled else ():
        if not episode.success:
            values = {name: getattr(episode, name) for name in ("seed", "steps", "sum_reward", "max_reward", "video")}
            yield replace_non_finite({"episode": episode.index, **values})


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


@contextmanager
def fill_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder that replaces `folder` when the block ends, and is removed when it fails."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def copy_policy(loaded: LoadedPolicy, folder: Path, *, link: bool = False) -> None:
    """Copy the policy's files, or save an untrained one. `link` allows links to files that never change."""
    with fill_folder(folder) as partial:
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


def write_json(path: Path, value: object) -> None:
    """Write one value, indented."""
    path.write_text(json.dumps(replace_non_finite(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def replace_non_finite(value: Any) -> Any:
    """Replace numbers that are not finite by None."""
    if isinstance(value, Mapping):
        return {str(name): replace_non_finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [replace_non_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
