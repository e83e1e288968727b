"""Files of an evaluation: results and the evaluated policy, in folders that are complete whenever they exist.

An attempt that was cut short leaves only what is hidden; the next one starts anew.
"""

import hashlib
import importlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.checkpoint import MANIFEST

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.results import scores, summary
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult, ReplayResult, RolloutResult


def write_results(result: EvaluationResult, folder: Path) -> None:
    """Films are there already. Pictures need Matplotlib, and are drawn of the first episodes only."""
    write_json(folder / "eval_results.json", summary.make_summary(result))
    write_json(folder / "metrics.json", scores.make_metrics_report(result))
    write_json_lines(folder / "failure_cases.jsonl", _list_failures(result.rolled) if result.rolled else ())
    if result.replayed:
        _write_predictions(result.replayed, folder / "predictions")
        plots: Any = importlib.import_module("robotrain_workloads.lerobot_eval.results.plots")
        plots.draw_plots(result.replayed.episodes, folder / "plots", result.about.fps or 1.0)


def _list_failures(rolled: RolloutResult) -> Iterator[dict[str, Any]]:
    """What helps to look at each again: its seed starts the very same episode."""
    for one in rolled.episodes:
        if not one.success:
            told = {name: getattr(one, name) for name in ("seed", "steps", "sum_reward", "max_reward", "video")}
            yield {"episode": one.index, **told}


def _write_predictions(replayed: ReplayResult, folder: Path) -> None:
    numpy: Any = importlib.import_module("numpy")
    folder.mkdir()
    for one in replayed.episodes:
        numpy.savez_compressed(
            folder / f"ep{one.episode:03d}_predictions.npz",
            predicted=one.predicted,
            ground_truth=one.recorded,
            inference_times=numpy.asarray(one.seconds, dtype="float64"),
        )


SKIPPED_FILES = ("training_state", MANIFEST)


@contextmanager
def fill_folder(folder: Path) -> Iterator[Path]:
    """A new folder to fill, beside `folder`; it takes its place when the block ends well, and is gone when it fails."""
    beside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        _replace_folder(folder, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def copy_policy(loaded: LoadedPolicy, folder: Path, *, link: bool = False) -> None:
    """The policy's files; those of one made here are saved. linked: they may be links, where the disk has those: what
    somebody writes into a file would change the links of it too.
    """
    with fill_folder(folder) as beside:
        if loaded.folder is None:
            for part in (loaded.policy, loaded.preprocessor, loaded.postprocessor):
                part.save_pretrained(beside)
            return
        for path in list_policy_files(loaded.folder):
            _link_or_copy(path, beside / path.relative_to(loaded.folder), link)


def list_policy_files(folder: Path) -> Iterator[Path]:
    """Those of a policy: no state of its training, and nothing that is hidden."""
    for path in sorted(folder.iterdir()):
        if path.name in SKIPPED_FILES or path.name.startswith("."):
            continue
        if path.is_dir():
            yield from list_policy_files(path)
        else:
            yield path


def _replace_folder(folder: Path, new: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _link_or_copy(path: Path, to: Path, linked: bool) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if linked:
        with suppress(OSError):  # another disk, or one without such links
            os.link(path.resolve(), to)
            return
    shutil.copyfile(path, to)


SHORT_DIGEST = 12


def digest_policy(folder: Path) -> str:
    """64 hex digits: of a policy, as the version that it is registered as says it."""
    return model_lineage.hash_model_files(
        {path.relative_to(folder).as_posix(): path for path in list_policy_files(folder)}
    )


def digest_statistics(root: Path) -> str:
    """A few hex digits of those of a dataset: copies of it have the same."""
    return hashlib.sha256((root / dataset.STATISTICS_FILE).read_bytes()).hexdigest()[:SHORT_DIGEST]


def write_json(path: Path, value: object) -> None:
    """One value, indented."""
    path.write_text(json.dumps(replace_non_finite(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_json_lines(path: Path, values: Iterable[object]) -> None:
    """One value a line; an empty file for none."""
    lines = (json.dumps(replace_non_finite(value), allow_nan=False) + "\n" for value in values)
    path.write_text("".join(lines), encoding="utf-8")


def replace_non_finite(value: Any) -> Any:
    """The same, with None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(name): replace_non_finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [replace_non_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
