"""The scores of checkpoints as a table, and the best of them, by the metrics that the workload declares."""

from collections.abc import Sequence
from typing import Any

from robotrain_runtime.comparison.best_checkpoint import Headline, find_best, find_headline
from robotrain_runtime.contract.event import Evaluated, Scored

from robotrain.model import scores
from robotrain.model.progress import Progress
from robotrain.model.workload_profile import Metric
from robotrain.redaction import redact

MAX_ROWS = 40
"""How many checkpoints the table in a terminal shows: the newest, and the best."""
MAX_REASON = 80
BEST_MARK = "best of {}, on the episodes that chose it"
"""Such a score is too good on average."""


def list_headlines(declared_metrics: Sequence[Metric]) -> list[Headline]:
    """Return the declared scores that say which checkpoint is the best, in their order."""
    scores_declared = [
        metric for metric in declared_metrics if metric.kind == "score" and metric.headline and metric.better
    ]
    return [Headline(metric.name, metric.better, metric.share) for metric in scores_declared]


def describe_best(scored_checkpoints: Sequence[Scored]) -> str:
    """Return how the best checkpoint was chosen; `best` for the only one."""
    scored_count = sum(bool(checkpoint.scores) for checkpoint in scored_checkpoints)
    return BEST_MARK.format(scored_count) if scored_count > 1 else "best"


def list_table_rows(progress: Progress, max_rows: int = MAX_ROWS) -> list[tuple[str, ...]]:
    """Return the table as rows, the head first: step, scores, losses, and which is the best; empty without scores.

    :param max_rows: how many checkpoints it has at most: the newest, and the best.
    """
    scored_checkpoints = sorted(progress.scored, key=lambda checkpoint: checkpoint.step)
    if not scored_checkpoints:
        return []
    declared_metrics = progress.declared_metrics
    best = find_best(scored_checkpoints, list_headlines(declared_metrics))
    shown_checkpoints = scored_checkpoints
    if len(scored_checkpoints) > max_rows:
        newest = scored_checkpoints[1 - max_rows :]
        shown_checkpoints = [best, *newest] if best and best not in newest else newest
    scores_by_step = {
        checkpoint.step: dict(scores.list_scores(_as_evaluated(checkpoint), declared_metrics))
        for checkpoint in shown_checkpoints
    }
    score_names = list(dict.fromkeys(name for listed_scores in scores_by_step.values() for name in listed_scores))
    curves = ((progress.main_metric, find_loss), (progress.validation_metric, find_validation_loss))
    losses = {
        metric.brief or metric.title: [find_value(progress, checkpoint.step) for checkpoint in shown_checkpoints]
        for metric, find_value in curves
        if metric
    }
    losses = {
        name: loss_values for name, loss_values in losses.items() if any(value is not None for value in loss_values)
    }
    rows = [("step", *score_names, *losses, "")]
    mark = describe_best(scored_checkpoints)
    for checkpoint, *loss_values in zip(shown_checkpoints, *losses.values(), strict=True):
        cells = [scores_by_step[checkpoint.step].get(name, "") for name in score_names]
        cells += ["" if value is None else scores.format_number(value, 4) for value in loss_values]
        rows.append((str(checkpoint.step), *cells, mark if checkpoint is best else _describe_failure(checkpoint)))
    return rows


def dump_table(progress: Progress) -> dict[str, Any] | None:
    """Return the table as data; None without scores. The keys are an API."""
    scored_checkpoints = sorted(progress.scored, key=lambda checkpoint: checkpoint.step)
    if not scored_checkpoints:
        return None
    best = find_best(scored_checkpoints, list_headlines(progress.declared_metrics))
    headline = find_headline(scored_checkpoints, list_headlines(progress.declared_metrics))
    rows = [
        {
            "step": checkpoint.step,
            "scores": dict(checkpoint.scores),
            "episodes": checkpoint.episodes,
            "conditions": checkpoint.conditions,
            "passed": checkpoint.passed,
            "error": _redact_reason(checkpoint),
            "loss": find_loss(progress, checkpoint.step),
            "validation_loss": find_validation_loss(progress, checkpoint.step),
        }
        for checkpoint in scored_checkpoints
    ]
    return {
        "metric": headline.name if headline else None,
        "best": best.step if best else None,
        "compared": sum(bool(checkpoint.scores) for checkpoint in scored_checkpoints),
        "checkpoints": rows,
    }


def find_loss(progress: Progress, step: int) -> float | None:
    """Return the training loss at a step, or the last one measured before; None if the log has none."""
    losses = [metric.name for metric in progress.declared_metrics if metric.kind == "loss" and not metric.pattern]
    points = next((metric_points for name in losses if (metric_points := progress.get_points(name))), progress.losses)
    earlier_values = [value for point_step, value in points if point_step <= step]
    return earlier_values[-1] if earlier_values else None


def find_validation_loss(progress: Progress, step: int) -> float | None:
    """Return the validation loss at exactly a step; None if the run did not validate there."""
    metric = progress.validation_metric
    return dict(progress.get_points(metric.name)).get(step) if metric else None


def _as_evaluated(scored_checkpoint: Scored) -> Evaluated:
    return Evaluated(
        episodes=scored_checkpoint.episodes, scores=scored_checkpoint.scores, results="", step=scored_checkpoint.step
    )


def _describe_failure(scored: Scored) -> str:
    return f"not evaluated: {_redact_reason(scored)}" if scored.error else ""


def _redact_reason(scored: Scored) -> str:
    return redact(scored.error, max_length=MAX_REASON)
