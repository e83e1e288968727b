"""The score of an evaluated policy, and of several checkpoints in turn, in one process: the best one is kept.

The results of each checkpoint are a folder that is complete whenever it exists. An attempt that begins again in the
same run's folder evaluates only the checkpoints that have none yet.
"""

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
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

POLL_SECONDS = 1.0
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
    for folder, count in _list_checkpoints(request, checkpoints):
        progress = partial(
            EvaluationProgress, before=len(scores_by_folder), count=max(count, len(scores_by_folder) + 1)
        )
        score = _score_checkpoint(_select(request, folder), parts_folder / folder.name, evaluate, progress)
        if score.error and request.grows_until and not folder.exists():
            note_removed(score.step)
            continue
        emit_event(score)
        print(f"checkpoint {score.step}: {score.error or _describe(score)}", flush=True)
        scores_by_folder[folder] = score
    best_score = choose_best([*scores_by_folder.values()])
    failures_text = explain_failures([*scores_by_folder.values()])
    if best_score is None:
        raise WorkFailed(failures_text or "no checkpoint was evaluated")
    folder = next(folder for folder, score in scores_by_folder.items() if score is best_score)
    compared_count = sum(bool(score.scores) for score in scores_by_folder.values())
    confirmed_score, doubt = None, "it was removed"
    if request.confirm and folder.exists():
        fresh_request = replace(_select(request, folder), eval_episodes=request.confirm, skip=request.eval_episodes)
        progress = partial(EvaluationProgress, before=len(scores_by_folder), count=len(scores_by_folder) + 1)
        confirmed_score = _score_checkpoint(
            fresh_request, parts_folder / f"{folder.name}{CONFIRMED}", evaluate, progress
        )
        print(
            f"checkpoint {best_score.step}, confirmed: {confirmed_score.error or _describe(confirmed_score)}",
            flush=True,
        )
        doubt = confirmed_score.error
    if doubt:
        doubt = f"the best checkpoint, of step {best_score.step}, could not be confirmed: {doubt}"
    shown_score = confirmed_score if confirmed_score and confirmed_score.scores else best_score
    low_success_text = summary.explain_low_success(shown_score, request.success_threshold)
    shown_score = _describe_selection(shown_score, compared_count, is_confirmed=shown_score is confirmed_score)
    table = {"best": best_score.step, "shown": {**collect_fields(shown_score), "too_low": low_success_text}}
    _write_results(request.results, parts_folder, [*scores_by_folder.values()], folder.name, table)
    kept_policy = request.kept_policy and request.kept_policy / folder.name
    if kept_policy and not folder.exists():
        error_text = f"the best checkpoint, of step {best_score.step}, was removed after its evaluation: it is not kept"
        emit_note(error_text, "warning")
        kept_policy = None
    print(f"the best checkpoint is that of step {best_score.step}", flush=True)
    emit_event(Track(tags={"policy_step": str(best_score.step)}))
    evaluated_parts.report(request, shown_score, policy.find_model_folder(folder), kept_policy)
    sentences = (
        f"no checkpoint is good enough; of the best, step {best_score.step}, {low_success_text}"
        if low_success_text
        else "",
        failures_text,
        doubt if request.confirm else "",
    )
    if error_text := "; ".join(filter(None, sentences)):
        raise WorkFailed(error_text)


def _list_checkpoints(request: EvaluationRequest, folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the folders of the checkpoints, and how many are known by then."""
    step_selection = request.checkpoints or checkpoint.ALL
    if request.grows_until:
        yield from follow_checkpoints(folder, step_selection, request.grows_until)
        return
    chosen_folders = policy_checkpoints.list_chosen(folder, step_selection)
    yield from ((folder, len(chosen_folders)) for folder in chosen_folders.values())


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


def follow_checkpoints(
    folder: Path, step_selection: str, end_file: Path, wait: Callable[[float], object] = time.sleep
) -> Iterator[tuple[Path, int]]:
    """Yield the complete checkpoints in a folder, each once, the lowest step first, and how many are known by then.

    Which one is the last is only known at the end.

    :param step_selection: as `checkpoint.select_steps` takes it.
    :param end_file: the file that appears once the training has ended. If its folder is gone, nobody will write it.
    """
    done_steps = set[int]()
    seen_steps = set[int]()
    is_waiting = False
    while True:
        has_ended = end_file.exists() or not end_file.parent.is_dir()  # asked first: all that was saved is listed then
        checkpoints = policy_checkpoints.list_sealed(policy_checkpoints.list_complete(folder))
        chosen_steps = [
            step
            for step in checkpoint.select_steps(checkpoints, step_selection)
            if has_ended or step_selection == checkpoint.ALL or step % int(step_selection) == 0
        ]
        for step in sorted(seen_steps - checkpoints.keys() - done_steps):
            note_removed(step)
            done_steps.add(step)
        seen_steps |= {*chosen_steps}
        if remaining_steps := [step for step in chosen_steps if step not in done_steps]:
            done_steps.add(remaining_steps[0])
            is_waiting = False
            yield checkpoints[remaining_steps[0]], len(seen_steps)
        elif has_ended:
            return
        else:
            if not is_waiting:
                print("waiting for the next checkpoint of the training", flush=True)
            is_waiting = True
            wait(POLL_SECONDS)


def note_removed(step: int) -> None:
    """Send a warning about a checkpoint that was removed before it had scores."""
    emit_note(f"the checkpoint of step {step} was removed before it was evaluated: it has no scores", "warning")
