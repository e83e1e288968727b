"""The score of an evaluated policy, and of several checkpoints in turn, in one process: the best one is kept.

The results of each checkpoint are a folder that is complete whenever it exists. An attempt that begins again in the
same run's folder evaluates only the checkpoints that have none yet.
"""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from robotrain_runtime.comparison.best_checkpoint import Headline, find_best
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.document import collect_fields
from robotrain_runtime.contract.event import Scored, Track, emit_event, emit_note
from robotrain_runtime.contract.failure import ERROR_PREFIX

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot import policy
from robotrain_workloads.lerobot_eval import evaluated_parts, policy_checkpoints
from robotrain_workloads.lerobot_eval.evaluated_parts import Evaluate, MakeProgress
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
from robotrain_workloads.lerobot_eval.results import summary
from robotrain_workloads.lerobot_eval.results.progress import EvaluationProgress

PARTS_FOLDER = ".eval_checkpoints"
"""The folder, beside the results, of checkpoints that are evaluated already."""
TABLE_FILE, TABLE_FOLDER = "checkpoints.json", "checkpoints"
HEADLINES = (Headline("rollout/success_rate", "higher", is_share=True), Headline("replay/mse", "lower"))
"""The scores that say which checkpoint is the best: the first that they have."""
LONGEST_REASON = 500
CONFIRMED = "-confirmed"
"""What the folder of the best checkpoint's confirmation ends with."""


def evaluate_policy(request: EvaluationRequest, evaluate: Evaluate) -> None:
    """Evaluate one policy. Raise SystemExit with a sentence, also when the success rate is below the threshold."""
    with result_files.fill_folder(request.results) as folder:
        score = evaluated_parts.score_policy(request, folder, evaluate, EvaluationProgress)
    evaluated_parts.report(request, score, request.policy.folder, request.kept_policy)
    if sentence := summary.explain_low_success(score, request.success_threshold):
        raise WorkFailed(sentence)


def evaluate_checkpoints(request: EvaluationRequest, checkpoints: Path, evaluate: Evaluate) -> None:
    """Evaluate several checkpoints in a folder, and keep the best. Raise SystemExit with a sentence.

    It is raised, once all are evaluated, if one could not be, or if not even the best reaches the threshold.
    """
    parts_folder = request.results.parent / PARTS_FOLDER
    scores_by_folder: dict[Path, Scored] = {}
    chosen_folders = policy_checkpoints.list_chosen(checkpoints, request.checkpoints or checkpoint.ALL)
    for folder in chosen_folders.values():
        progress = partial(EvaluationProgress, before=len(scores_by_folder), count=len(chosen_folders))
        score = _score_checkpoint(_select(request, folder), parts_folder / folder.name, evaluate, progress)
        emit_event(score)
        print(f"checkpoint {score.step}: {score.error or _describe(score)}", flush=True)
        scores_by_folder[folder] = score
    best_score = choose_best([*scores_by_folder.values()])
    failures_text = explain_failures([*scores_by_folder.values()])
    if best_score is None:
        raise WorkFailed(failures_text or "no checkpoint was evaluated")
    folder = next(folder for folder, score in scores_by_folder.items() if score is best_score)
    compared_count = sum(bool(score.scores) for score in scores_by_folder.values())
    confirmed_score, doubt = None, ""
    if request.confirm:
        fresh_request = replace(_select(request, folder), eval_episodes=request.confirm, skip=request.eval_episodes)
        progress = partial(EvaluationProgress, before=len(scores_by_folder), count=len(scores_by_folder) + 1)
        confirmed_score = _score_checkpoint(
            fresh_request, parts_folder / f"{folder.name}{CONFIRMED}", evaluate, progress
        )
        print(
            f"checkpoint {best_score.step}, confirmed: {confirmed_score.error or _describe(confirmed_score)}",
            flush=True,
        )
        if confirmed_score.error:
            doubt = f"the best checkpoint, of step {best_score.step}, could not be confirmed: {confirmed_score.error}"
    shown_score = confirmed_score if confirmed_score and confirmed_score.scores else best_score
    low_success_text = summary.explain_low_success(shown_score, request.success_threshold)
    shown_score = _describe_selection(shown_score, compared_count, is_confirmed=shown_score is confirmed_score)
    table = {"best": best_score.step, "shown": {**collect_fields(shown_score), "too_low": low_success_text}}
    _write_results(request.results, parts_folder, [*scores_by_folder.values()], folder.name, table)
    kept_policy = request.kept_policy and request.kept_policy / folder.name
    print(f"the best checkpoint is that of step {best_score.step}", flush=True)
    emit_event(Track(tags={"policy_step": str(best_score.step)}))
    evaluated_parts.report(request, shown_score, policy.find_model_folder(folder), kept_policy)
    sentences = (
        f"no checkpoint is good enough; of the best, step {best_score.step}, {low_success_text}"
        if low_success_text
        else "",
        failures_text,
        doubt,
    )
    if error_text := "; ".join(filter(None, sentences)):
        raise WorkFailed(error_text)


def _select(request: EvaluationRequest, folder: Path) -> EvaluationRequest:
    """Return the request that evaluates one checkpoint."""
    model = policy.find_model_folder(folder)
    name = f"{request.policy.name.rstrip('/')}/{folder.name}"
    return replace(request, policy=replace(request.policy, name=name, step=int(folder.name), folder=model))


def _describe_selection(score: Scored, compared_count: int, *, is_confirmed: bool) -> Scored:
    """Return the score of the best of several with that in its conditions.

    The score that chose it is too good on average, and is compared with no other; a confirmed one may be.
    """
    if compared_count < 2:
        return score
    headline, separator, other_conditions = score.conditions.partition("; ")
    if is_confirmed:
        conditions = f"{score.conditions}; best of {compared_count} checkpoints, confirmed from fresh starts"
    else:
        starts_noun = "starts" if score.scores.keys() & {HEADLINES[0].name} else "episodes"
        conditions = (
            f"{headline}, best of {compared_count} checkpoints, on the {starts_noun} that chose "
            f"it{separator}{other_conditions}"
        )
    return replace(score, conditions=conditions)


def choose_best(scores: Sequence[Scored]) -> Scored | None:
    """Return the best of the evaluated checkpoints: the last one if they have no headline score; None without any."""
    evaluated_scores = [score for score in scores if score.scores]
    return find_best(evaluated_scores, HEADLINES) or max(evaluated_scores, key=lambda score: score.step, default=None)


def explain_failures(scores: Sequence[Scored]) -> str:
    """Return which checkpoints could not be evaluated, and why; empty if all were."""
    failed_scores = [score for score in scores if score.error]
    if not failed_scores:
        return ""
    failure_texts = [f"step {score.step} ({score.error})" for score in failed_scores]
    return f"{len(failed_scores)} of {len(scores)} checkpoints could not be evaluated: {', '.join(failure_texts)}"


def _score_checkpoint(
    request: EvaluationRequest, part_folder: Path, evaluate: Evaluate, make_progress: MakeProgress
) -> Scored:
    """Return the score of a checkpoint, whose results are in the folder `part_folder` once it is complete.

    A failure is named in the score, so that the others are still evaluated.
    """
    step = request.policy.step
    try:
        return evaluated_parts.score_part(
            request, part_folder, evaluate, make_progress, f"the checkpoint of step {step}"
        )
    except SystemExit as error:
        if not isinstance(error.code, str):  # a signal stops the whole run
            raise
        reason = error.code.removeprefix(ERROR_PREFIX)
    except Exception as error:  # whatever it is: the others are evaluated
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
    reason = " ".join(reason.split())[:LONGEST_REASON]
    emit_note(f"the checkpoint of step {step} could not be evaluated: {reason}", "warning")
    return Scored(step=step, error=reason)


def _describe(score: Scored) -> str:
    headlines = (
        (headline.name, score.scores[headline.name]) for headline in HEADLINES if headline.name in score.scores
    )
    return (
        ", ".join(f"{name} {headline_score:.4g}" for name, headline_score in headlines) or f"{score.episodes} episodes"
    )


def _write_results(
    results_folder: Path, parts_folder: Path, scores: Sequence[Scored], best_name: str, table: Mapping[str, object]
) -> None:
    """Write the results: those of the best checkpoint, the table, and those of each in a folder of its own."""
    confirmed_part = parts_folder / f"{best_name}{CONFIRMED}"
    with result_files.fill_folder(results_folder) as folder:
        evaluated_parts.link_files(confirmed_part if confirmed_part.exists() else parts_folder / best_name, folder)
        for part_folder in sorted(parts_folder.iterdir()):
            if part_folder.name.isdecimal() and int(part_folder.name) in {
                score.step for score in scores if not score.error
            }:
                evaluated_parts.link_files(part_folder, folder / TABLE_FOLDER / part_folder.name)
        rows = [collect_fields(score) for score in scores]
        result_files.write_json(folder / TABLE_FILE, {**table, "checkpoints": rows})
