"""Evaluation of several checkpoints in turn, in one process: a score for each, and the best one kept.

The results of each checkpoint are a folder that is complete whenever it exists. An attempt that begins again in the
same run's folder evaluates only the checkpoints that have none yet.
"""

import argparse
import gc
import hashlib
import json
import math
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.event import Evaluated, Note, Scored, Track, emit_event

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.lerobot import policy
from robotrain_workloads.lerobot.warm_up import quick_imports
from robotrain_workloads.lerobot_eval import followed_checkpoints
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.results import result_store, summary
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult
from robotrain_workloads.lerobot_eval.results.progress import CheckpointProgress, EvaluationProgress

PARTS_FOLDER = ".eval_checkpoints"
"""The folder, beside the results, of checkpoints that are evaluated already."""
SCORES_FILE, TABLE_FILE, TABLE_FOLDER = "checkpoint.json", "checkpoints.json", "checkpoints"
HEADLINES = (("rollout/success_rate", "higher"), ("replay/mse", "lower"))
"""The scores that say which checkpoint is the best, and what is better: the first that they have."""
OWN_OPTIONS = (
    "checkpoint",
    "confirm",
    "follow",
    "follow_steps",
    "follow_until",
    "policy",
    "policy_step",
    "policy_name",
    "results",
    "keep_policy",
    "link_policy",
    "tag",
)
"""Options that do not change the scores of a checkpoint."""
LONGEST_REASON = 500
CONFIRMED = "-confirmed"
"""What the folder of the best checkpoint's confirmation ends with."""

MakeProgress = Callable[[int], EvaluationProgress]
Load = Callable[[argparse.Namespace, Sequence[str]], LoadedPolicy]
Evaluate = Callable[[argparse.Namespace, LoadedPolicy, Sequence[str], Path, MakeProgress], EvaluationResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointScore:
    """The evaluation of a checkpoint; without scores if it failed."""

    step: int
    scores: Mapping[str, float] = field(default_factory=dict)
    episodes: int = 0
    conditions: str = ""
    passed: bool | None = None
    too_low: str = ""
    """The sentence about a success rate below the threshold."""
    error: str = ""

    @property
    def event(self) -> Scored:
        """The event that reports it."""
        names = ("step", "scores", "episodes", "conditions", "passed", "error")
        return Scored(**{name: getattr(self, name) for name in names})


def evaluate_checkpoints(arguments: argparse.Namespace, options: Sequence[str], load: Load, evaluate: Evaluate) -> None:
    """Evaluate the checkpoints of `--checkpoint` or `--follow`, and keep the best. Raise SystemExit with a sentence.

    It is raised, once all are evaluated, if one could not be, or if not even the best reaches the threshold.
    """
    parts = arguments.results.parent / PARTS_FOLDER
    found: list[CheckpointScore] = []
    folders: dict[int, Path] = {}
    for folder, count in _list_checkpoints(arguments):
        step = int(folder.name)
        progress = partial(CheckpointProgress, before=len(found), count=max(count, len(found) + 1))
        run = _CheckpointRun(_make_arguments(arguments, folder), options, parts / folder.name, progress)
        score = run.read_earlier() or run.evaluate(load, evaluate)
        if score.error and arguments.follow and not folder.exists():
            followed_checkpoints.note_removed(step)
            continue
        emit_event(score.event)
        print(f"checkpoint {step}: {score.error or _describe(score)}", flush=True)
        found.append(score)
        folders[step] = folder
    best = choose_best(found)
    if best is None:
        raise SystemExit(f"error: {explain_failures(found) or 'no checkpoint was evaluated'}")
    best_folder = folders[best.step]
    compared = sum(bool(one.scores) for one in found)
    confirmed = None
    if arguments.confirm and best_folder.exists():
        confirmed = _confirm(arguments, options, best_folder, parts, len(found), load, evaluate)
    shown = _describe_selection(confirmed if confirmed and confirmed.scores else best, compared, confirmed)
    _write_results(arguments.results, parts, found, best_folder.name, shown)
    kept = arguments.keep_policy and arguments.keep_policy / best_folder.name
    if kept and not best_folder.exists():
        text = f"the best checkpoint, of step {best.step}, was removed after its evaluation: it is not kept"
        emit_event(Note(level="warning", text=text))
        kept = None
    if kept:
        result_store.copy_model(policy.find_model_folder(best_folder), kept, link=arguments.link_policy)
    print(f"the best checkpoint is that of step {best.step}", flush=True)
    emit_event(Track(tags={"policy_step": str(best.step)}))
    emit_event(
        Evaluated(
            episodes=shown.episodes,
            scores=shown.scores,
            results=str(arguments.results.absolute()),
            policy=str(kept.absolute()) if kept else "",
            step=best.step,
            passed=shown.passed,
            conditions=shown.conditions,
        )
    )
    failed = explain_failures(found)
    too_low = f"no checkpoint is good enough; of the best, step {best.step}, {shown.too_low}" if shown.too_low else ""
    unsure = ""
    if arguments.confirm and not (confirmed and confirmed.scores):
        why = confirmed.error if confirmed else "it was removed"
        unsure = f"the best checkpoint, of step {best.step}, could not be confirmed: {why}"
    if sentences := "; ".join(filter(None, (too_low, failed, unsure))):
        raise SystemExit(f"error: {sentences}")


def _confirm(
    arguments: argparse.Namespace,
    options: Sequence[str],
    folder: Path,
    parts: Path,
    count: int,
    load: Load,
    evaluate: Evaluate,
) -> CheckpointScore:
    """Evaluate the best checkpoint from starts that did not choose it. `count`: the checkpoints before."""
    own = _make_arguments(arguments, folder)
    own.episodes, own.skip = arguments.confirm, arguments.episodes
    progress = partial(CheckpointProgress, before=count, count=count + 1)
    run = _CheckpointRun(own, options, parts / f"{folder.name}{CONFIRMED}", progress)
    score = run.read_earlier() or run.evaluate(load, evaluate)
    print(f"checkpoint {score.step}, confirmed: {score.error or _describe(score)}", flush=True)
    return score


def _describe_selection(
    score: CheckpointScore, compared: int, confirmed: CheckpointScore | None = None
) -> CheckpointScore:
    """Return the score of the best of several with that in its conditions.

    The score that chose it is too good on average, and is compared with no other; a confirmed one may be.
    """
    if compared < 2:
        return score
    headline, separator, rest = score.conditions.partition("; ")
    if score is confirmed:
        text = f"{score.conditions}; best of {compared} checkpoints, confirmed from fresh starts"
    else:
        which = "starts" if score.scores.keys() & {HEADLINES[0][0]} else "episodes"
        text = f"{headline}, best of {compared} checkpoints, on the {which} that chose it{separator}{rest}"
    return replace(score, conditions=text)


def _make_arguments(arguments: argparse.Namespace, folder: Path) -> argparse.Namespace:
    """Return the arguments that evaluate one checkpoint."""
    own = {**vars(arguments), "policy": policy.find_model_folder(folder), "policy_step": int(folder.name)}
    return argparse.Namespace(**own | {"policy_name": f"{arguments.policy_name.rstrip('/')}/{folder.name}"})


def _list_checkpoints(arguments: argparse.Namespace) -> Iterator[tuple[Path, int]]:
    """Yield the folders of the checkpoints, and how many are known by then."""
    if arguments.follow:
        given = (arguments.follow, arguments.follow_steps, arguments.follow_until)
        yield from followed_checkpoints.follow_checkpoints(*given)
    for folder in arguments.checkpoint:
        yield folder, len(arguments.checkpoint)


def choose_best(found: Sequence[CheckpointScore]) -> CheckpointScore | None:
    """Return the one with the best headline score, of equal ones the later; None if none was evaluated."""
    scored = [one for one in found if one.scores]
    for name, better in HEADLINES:
        known = [one for one in scored if math.isfinite(one.scores.get(name, math.nan))]
        if known:
            sign = 1 if better == "higher" else -1
            return max(known, key=lambda one: (sign * one.scores[name], one.step))
    return max(scored, key=lambda one: one.step, default=None)


def explain_failures(found: Sequence[CheckpointScore]) -> str:
    """Return which checkpoints could not be evaluated, and why; empty if all were."""
    failed = [one for one in found if one.error]
    if not failed:
        return ""
    texts = [f"step {one.step} ({one.error})" for one in failed]
    return f"{len(failed)} of {len(found)} checkpoints could not be evaluated: {', '.join(texts)}"


class _CheckpointRun:
    """The evaluation of one checkpoint. Its results are in `folder` once it is complete."""

    def __init__(
        self, arguments: argparse.Namespace, options: Sequence[str], folder: Path, make_progress: MakeProgress
    ) -> None:
        self._arguments, self._options, self._folder = arguments, options, folder
        self._make_progress = make_progress
        shared = {name: str(value) for name, value in vars(arguments).items() if name not in OWN_OPTIONS}
        self._request = [shared, list(options)]

    def read_earlier(self) -> CheckpointScore | None:
        """Return what an earlier attempt of the same evaluation found; None if it found nothing."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            known = json.loads((self._folder / SCORES_FILE).read_text(encoding="utf-8"))
            if known["key"] == self._make_key():
                text = f"the checkpoint of step {self._arguments.policy_step} was evaluated before"
                emit_event(Note(level="info", text=text))
                scores = {name: value for name, value in known["score"]["scores"].items() if value is not None}
                return CheckpointScore(**{**known["score"], "scores": scores})
        return None

    def evaluate(self, load: Load, evaluate: Evaluate) -> CheckpointScore:
        """Evaluate; a failure is named in the score, so that the others are still evaluated."""
        step = self._arguments.policy_step
        try:
            return self._evaluate(load, evaluate)
        except SystemExit as error:
            if not isinstance(error.code, str):  # a signal stops the whole run
                raise
            reason = error.code.removeprefix("error: ")
        except Exception as error:  # whatever it is: the others are evaluated
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
        reason = " ".join(reason.split())[:LONGEST_REASON]
        emit_event(Note(level="warning", text=f"the checkpoint of step {step} could not be evaluated: {reason}"))
        return CheckpointScore(step=step, error=reason)

    def _evaluate(self, load: Load, evaluate: Evaluate) -> CheckpointScore:
        arguments, key = self._arguments, self._make_key()
        with quick_imports():
            loaded = load(arguments, self._options)
        with result_files.fill_folder(self._folder) as folder:
            result = evaluate(arguments, loaded, self._options, folder, self._make_progress)
            if not result.episodes:
                raise SystemExit("error: no episode was evaluated")
            result_store.write_results(result, folder)
            score = CheckpointScore(
                step=arguments.policy_step,
                scores=summary.compute_scores(result),
                episodes=result.episodes,
                conditions=summary.describe_conditions(result),
                passed=result.passed,
                too_low=summary.explain_low_success(result),
            )
            result_files.write_json(folder / SCORES_FILE, {"key": key, "score": _dump(score)})
        del loaded
        _free_memory()
        return score

    def _make_key(self) -> str:
        """Return what the scores depend on: the policy's files and all options. Raise OSError."""
        digest = result_store.digest_policy(self._arguments.policy)
        return hashlib.sha256(json.dumps([digest, *self._request], sort_keys=True).encode()).hexdigest()


def _dump(score: CheckpointScore) -> dict[str, Any]:
    names = ("step", "scores", "episodes", "conditions", "passed", "too_low", "error")
    return {name: getattr(score, name) for name in names}


def _describe(score: CheckpointScore) -> str:
    known = ((name, score.scores[name]) for name, _ in HEADLINES if name in score.scores)
    return ", ".join(f"{name} {value:.4g}" for name, value in known) or f"{score.episodes} episodes"


def _free_memory() -> None:
    """Return the memory of a policy that is not needed any more to the GPU."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _write_results(
    results: Path, parts: Path, found: Sequence[CheckpointScore], best: str, shown: CheckpointScore
) -> None:
    """Write the results: those of the best checkpoint, the table, and those of each in a folder of its own.

    :param shown: the score of the best, confirmed or not.
    """
    confirmed = parts / f"{best}{CONFIRMED}"
    with result_files.fill_folder(results) as folder:
        _link_files(confirmed if confirmed.exists() else parts / best, folder)
        for part in sorted(parts.iterdir()):
            if part.name.isdecimal() and int(part.name) in {one.step for one in found if not one.error}:
                _link_files(part, folder / TABLE_FOLDER / part.name)
        rows = [{name: value for name, value in _dump(one).items() if name != "too_low"} for one in found]
        result_files.write_json(folder / TABLE_FILE, {"best": int(best), "shown": _dump(shown), "checkpoints": rows})


def _link_files(source: Path, target: Path) -> None:
    """Link the files of a folder into another one, or copy them where the disk has no links."""
    for path in sorted(source.rglob("*")):
        if path.is_dir() or path == source / SCORES_FILE:
            continue
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, place)
        except OSError:
            shutil.copyfile(path, place)
