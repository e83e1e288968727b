"""The score of an evaluated policy, and of several checkpoints in turn, in one process: the best one is kept.

The results of each checkpoint are a folder that is complete whenever it exists. An attempt that begins again in the
same run's folder evaluates only the checkpoints that have none yet.
"""

import dataclasses
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
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.document import collect_fields
from robotrain_runtime.contract.event import Evaluated, Note, Scored, Track, emit_event

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.lerobot import policy
from robotrain_workloads.lerobot_eval import followed_checkpoints, policy_checkpoints
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
from robotrain_workloads.lerobot_eval.results import result_store, summary
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult
from robotrain_workloads.lerobot_eval.results.progress import EvaluationProgress

PARTS_FOLDER = ".eval_checkpoints"
"""The folder, beside the results, of checkpoints that are evaluated already."""
SCORES_FILE, TABLE_FILE, TABLE_FOLDER = "checkpoint.json", "checkpoints.json", "checkpoints"
HEADLINES = (("rollout/success_rate", "higher"), ("replay/mse", "lower"))
"""The scores that say which checkpoint is the best, and what is better: the first that they have."""
OWN_FIELDS = (
    *("policy", "checkpoints", "checkpoints_folder", "grows_until", "confirm"),
    *("results", "kept_policy", "link_policy", "tags"),
)
"""What of a request does not change the scores of a checkpoint, besides its files."""
LONGEST_REASON = 500
CONFIRMED = "-confirmed"
"""What the folder of the best checkpoint's confirmation ends with."""

MakeProgress = Callable[[int], EvaluationProgress]
Evaluate = Callable[[EvaluationRequest, Path, MakeProgress], EvaluationResult]


def evaluate_policy(request: EvaluationRequest, evaluate: Evaluate) -> None:
    """Evaluate one policy. Raise SystemExit with a sentence, also when the success rate is below the threshold."""
    with result_files.fill_folder(request.results) as folder:
        score = _score_policy(request, folder, evaluate, EvaluationProgress)
    _report(request, score, request.policy.folder, request.kept_policy)
    if sentence := summary.explain_low_success(score, request.success_threshold):
        raise SystemExit(f"error: {sentence}")


def evaluate_checkpoints(request: EvaluationRequest, checkpoints: Path, evaluate: Evaluate) -> None:
    """Evaluate several checkpoints in a folder, and keep the best. Raise SystemExit with a sentence.

    It is raised, once all are evaluated, if one could not be, or if not even the best reaches the threshold.
    """
    parts = request.results.parent / PARTS_FOLDER
    found: dict[Path, Scored] = {}
    for folder, count in _list_checkpoints(request, checkpoints):
        progress = partial(EvaluationProgress, before=len(found), count=max(count, len(found) + 1))
        score = _score_checkpoint(_select(request, folder), parts / folder.name, evaluate, progress)
        if score.error and request.grows_until and not folder.exists():
            followed_checkpoints.note_removed(score.step)
            continue
        emit_event(score)
        print(f"checkpoint {score.step}: {score.error or _describe(score)}", flush=True)
        found[folder] = score
    best, failed = choose_best([*found.values()]), explain_failures([*found.values()])
    if best is None:
        raise SystemExit(f"error: {failed or 'no checkpoint was evaluated'}")
    folder = next(folder for folder, score in found.items() if score is best)
    compared = sum(bool(one.scores) for one in found.values())
    confirmed, unsure = None, "it was removed"
    if request.confirm and folder.exists():
        fresh = replace(_select(request, folder), eval_episodes=request.confirm, skip=request.eval_episodes)
        progress = partial(EvaluationProgress, before=len(found), count=len(found) + 1)
        confirmed = _score_checkpoint(fresh, parts / f"{folder.name}{CONFIRMED}", evaluate, progress)
        print(f"checkpoint {best.step}, confirmed: {confirmed.error or _describe(confirmed)}", flush=True)
        unsure = confirmed.error
    if unsure:
        unsure = f"the best checkpoint, of step {best.step}, could not be confirmed: {unsure}"
    shown = confirmed if confirmed and confirmed.scores else best
    too_low = summary.explain_low_success(shown, request.success_threshold)
    shown = _describe_selection(shown, compared, is_confirmed=shown is confirmed)
    table = {"best": best.step, "shown": {**collect_fields(shown), "too_low": too_low}}
    _write_results(request.results, parts, [*found.values()], folder.name, table)
    kept = request.kept_policy and request.kept_policy / folder.name
    if kept and not folder.exists():
        text = f"the best checkpoint, of step {best.step}, was removed after its evaluation: it is not kept"
        emit_event(Note(level="warning", text=text))
        kept = None
    print(f"the best checkpoint is that of step {best.step}", flush=True)
    emit_event(Track(tags={"policy_step": str(best.step)}))
    _report(request, shown, policy.find_model_folder(folder), kept)
    sentences = (
        f"no checkpoint is good enough; of the best, step {best.step}, {too_low}" if too_low else "",
        failed,
        unsure if request.confirm else "",
    )
    if text := "; ".join(filter(None, sentences)):
        raise SystemExit(f"error: {text}")


def _list_checkpoints(request: EvaluationRequest, folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the folders of the checkpoints, and how many are known by then."""
    which = request.checkpoints or checkpoint.ALL
    if request.grows_until:
        yield from followed_checkpoints.follow_checkpoints(folder, which, request.grows_until)
        return
    chosen = policy_checkpoints.list_chosen(folder, which)
    yield from ((folder, len(chosen)) for folder in chosen.values())


def _select(request: EvaluationRequest, folder: Path) -> EvaluationRequest:
    """Return the request that evaluates one checkpoint."""
    model, name = policy.find_model_folder(folder), f"{request.policy.name.rstrip('/')}/{folder.name}"
    return replace(request, policy=replace(request.policy, name=name, step=int(folder.name), folder=model))


def _report(request: EvaluationRequest, score: Scored, model: Path | None, kept: Path | None) -> None:
    """Keep the policy of a score, and send the score."""
    if kept and model:
        result_store.copy_policy(model, kept, link=request.link_policy)
    emit_event(
        Evaluated(
            episodes=score.episodes,
            scores=score.scores,
            results=str(request.results.absolute()),
            policy=str(kept.absolute()) if kept else "",
            step=score.step,
            passed=score.passed,
            conditions=score.conditions,
        )
    )


def _describe_selection(score: Scored, compared: int, *, is_confirmed: bool) -> Scored:
    """Return the score of the best of several with that in its conditions.

    The score that chose it is too good on average, and is compared with no other; a confirmed one may be.
    """
    if compared < 2:
        return score
    headline, separator, rest = score.conditions.partition("; ")
    if is_confirmed:
        text = f"{score.conditions}; best of {compared} checkpoints, confirmed from fresh starts"
    else:
        which = "starts" if score.scores.keys() & {HEADLINES[0][0]} else "episodes"
        text = f"{headline}, best of {compared} checkpoints, on the {which} that chose it{separator}{rest}"
    return replace(score, conditions=text)


def choose_best(found: Sequence[Scored]) -> Scored | None:
    """Return the one with the best headline score, of equal ones the later; None if none was evaluated."""
    scored = [one for one in found if one.scores]
    for name, better in HEADLINES:
        known = [one for one in scored if math.isfinite(one.scores.get(name, math.nan))]
        if known:
            sign = 1 if better == "higher" else -1
            return max(known, key=lambda one: (sign * one.scores[name], one.step))
    return max(scored, key=lambda one: one.step, default=None)


def explain_failures(found: Sequence[Scored]) -> str:
    """Return which checkpoints could not be evaluated, and why; empty if all were."""
    failed = [one for one in found if one.error]
    if not failed:
        return ""
    texts = [f"step {one.step} ({one.error})" for one in failed]
    return f"{len(failed)} of {len(found)} checkpoints could not be evaluated: {', '.join(texts)}"


def _score_policy(request: EvaluationRequest, folder: Path, evaluate: Evaluate, make_progress: MakeProgress) -> Scored:
    """Evaluate a policy, and write its results to a new folder."""
    result = evaluate(request, folder, make_progress)
    if not result.episodes:
        raise SystemExit("error: no episode was evaluated")
    result_store.write_results(result, folder)
    return Scored(
        step=request.policy.step,
        scores=summary.compute_scores(result),
        episodes=result.episodes,
        conditions=summary.describe_conditions(result),
        passed=result.passed,
    )


def _score_checkpoint(
    request: EvaluationRequest, part: Path, evaluate: Evaluate, make_progress: MakeProgress
) -> Scored:
    """Return the score of a checkpoint, whose results are in the folder `part` once it is complete.

    A failure is named in the score, so that the others are still evaluated.
    """
    step = request.policy.step
    try:
        key = _make_key(request)
        if earlier := _read_earlier(part, key):
            emit_event(Note(level="info", text=f"the checkpoint of step {step} was evaluated before"))
            return earlier
        with result_files.fill_folder(part) as folder:
            score = _score_policy(request, folder, evaluate, make_progress)
            result_files.write_json(folder / SCORES_FILE, {"key": key, "score": collect_fields(score)})
        _free_memory()
        return score
    except SystemExit as error:
        if not isinstance(error.code, str):  # a signal stops the whole run
            raise
        reason = error.code.removeprefix("error: ")
    except Exception as error:  # whatever it is: the others are evaluated
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
    reason = " ".join(reason.split())[:LONGEST_REASON]
    emit_event(Note(level="warning", text=f"the checkpoint of step {step} could not be evaluated: {reason}"))
    return Scored(step=step, error=reason)


def _read_earlier(part: Path, key: str) -> Scored | None:
    """Return what an earlier attempt of the same evaluation found; None if it found nothing."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads((part / SCORES_FILE).read_text(encoding="utf-8"))
        if known["key"] == key:
            scores = {name: value for name, value in known["score"]["scores"].items() if value is not None}
            return Scored(**{**known["score"], "scores": scores})
    return None


def _make_key(request: EvaluationRequest) -> str:
    """Return what the scores depend on: the policy's files and all options. Raise OSError."""
    policy, fields = request.policy, dataclasses.asdict(request)
    shared = {name: value for name, value in fields.items() if name not in OWN_FIELDS}
    digest = result_store.digest_policy(policy.folder) if policy.folder else ""
    parts = [digest, policy.base, policy.source, policy.pin, shared]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _describe(score: Scored) -> str:
    known = ((name, score.scores[name]) for name, _ in HEADLINES if name in score.scores)
    return ", ".join(f"{name} {value:.4g}" for name, value in known) or f"{score.episodes} episodes"


def _free_memory() -> None:
    """Return the memory of a policy that is not needed any more to the GPU."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _write_results(results: Path, parts: Path, found: Sequence[Scored], best: str, table: Mapping[str, object]) -> None:
    """Write the results: those of the best checkpoint, the table, and those of each in a folder of its own."""
    confirmed = parts / f"{best}{CONFIRMED}"
    with result_files.fill_folder(results) as folder:
        _link_files(confirmed if confirmed.exists() else parts / best, folder)
        for part in sorted(parts.iterdir()):
            if part.name.isdecimal() and int(part.name) in {one.step for one in found if not one.error}:
                _link_files(part, folder / TABLE_FOLDER / part.name)
        rows = [collect_fields(one) for one in found]
        result_files.write_json(folder / TABLE_FILE, {**table, "checkpoints": rows})


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
