"""Scores of an evaluation as text, by the metrics that its workload declares."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from robotrain_runtime.contract.event import Evaluated, Registered

from robotrain.model.workload_profile import Metric
from robotrain.redaction import redact_if_secret

if TYPE_CHECKING:
    from robotrain.model.workload_profile import Metric

MAX_EPISODES = 2**53
MAX_PLAIN_NUMBER = 10**7
MAX_SCORES = 6
"""How many undeclared scores a summary shows."""
MAX_GROUPS = 15
"""How many parts of an evaluation, such as tasks, a summary shows."""
MAX_DESCRIBED = 200
"""How many scores of an evaluation that describes them are shown."""
EPISODES_SCORE = "episodes"
"""The score with the number of episodes, in such an evaluation."""
SHARE_UNIT = "share"
"""The unit of a score between 0 and 1, in an evaluation that describes it."""


def add_described_metrics(declared_metrics: Sequence[Metric], evaluated: Evaluated) -> Sequence[Metric]:
    """Return the metrics that a workload declares, and after them those that the evaluation itself describes.

    Its description of a declared one counts, but for a share.
    """
    share_names = {metric.name for metric in declared_metrics if metric.share}
    described_names = [name for name in evaluated.scores if name in evaluated.units and name not in share_names]
    if not described_names:
        return declared_metrics
    directions = {metric.name: metric.better for metric in declared_metrics}
    metrics = [metric for metric in declared_metrics if metric.name not in described_names]
    for name in described_names[:MAX_DESCRIBED]:
        unit, better = evaluated.units[name], evaluated.better.get(name)
        metrics.append(
            Metric(
                name=name,
                kind="score",
                label=redact_if_secret(name),
                brief=redact_if_secret(name),
                unit="" if unit == SHARE_UNIT else redact_if_secret(unit),
                better="lower" if better == "lower" else "higher" if better == "higher" else directions.get(name, ""),
                headline=True,
                share=unit == SHARE_UNIT,
                low=f"{name}_low",
                high=f"{name}_high",
                count=EPISODES_SCORE if unit == SHARE_UNIT else "",
            )
        )
    return metrics


def expand_patterns(declared_metrics: Sequence[Metric], evaluated: Evaluated) -> list[Metric]:
    """Return the metrics with, for each pattern of shares, one metric for each score of that name."""
    metrics: list[Metric] = []
    for metric in declared_metrics:
        if metric.pattern and metric.share and metric.kind == "score":
            metrics += _expand_pattern(metric, evaluated)
        else:
            metrics.append(metric)
    return metrics


def _expand_pattern(metric: Metric, evaluated: Evaluated) -> list[Metric]:
    matches = filter(None, (re.fullmatch(metric.name, name) for name in evaluated.scores))
    return [
        dataclasses.replace(
            metric,
            name=match[0],
            pattern=False,
            label=match.expand(metric.label),
            low=match.expand(metric.low),
            high=match.expand(metric.high),
            count=match.expand(metric.count),
        )
        for match in matches
    ]


def list_group_scores(evaluated: Evaluated, declared_metrics: Sequence[Metric]) -> list[tuple[str, str]]:
    """Return the shares of parts of an evaluation, such as its tasks: each label and `17 of 20, 85% (64-95%)`."""
    patterns = [metric for metric in declared_metrics if metric.pattern and metric.share and metric.kind == "score"]
    if not patterns:
        return []
    return [
        (redact_if_secret(metric.title), format_success(evaluated, metric))
        for metric in expand_patterns(patterns, evaluated)
    ]


def format_group_scores(evaluated: Evaluated, declared_metrics: Sequence[Metric], run: str) -> list[str]:
    """Return a line for each of the first shares of `list_group_scores`, and how to see the others."""
    group_scores = list_group_scores(evaluated, declared_metrics)
    width = max((len(label) for label, _ in group_scores), default=0)
    group_lines = [f"{label:{width}}  {text}" for label, text in group_scores[:MAX_GROUPS]]
    remaining_count = len(group_scores) - len(group_lines)
    return [*group_lines, f"and {remaining_count} more: robotrain report {run}"] if remaining_count else group_lines


def format_scores(evaluated: Evaluated, declared_metrics: Sequence[Metric]) -> str:
    """Return the scores as `success 17 of 20, 85% (64-95%)  error 0.41  p95 1.9 ms`."""
    return "  ".join(f"{name} {text}" for name, text in list_scores(evaluated, declared_metrics))


def format_answer(evaluated: Evaluated) -> str:
    """Return what a comparison of the policy with others found; empty without one."""
    return redact_if_secret(str(evaluated.compared.get("answer") or ""))


def format_winner(evaluated: Evaluated) -> str:
    """Return the answer of a comparison as a cell: `new@8000 wins, 40 pairs`; empty without one."""
    if not (comparison := evaluated.compared):
        return ""
    winner = comparison.get("winner")
    text = f"{winner} wins" if winner else "no winner"
    return redact_if_secret(f"{text}, {comparison.get('pairs')} pairs")


def format_scores_with_conditions(evaluated: Evaluated, declared_metrics: Sequence[Metric]) -> str:
    """Return the scores with the conditions: `success 17 of 20, 85%  (pusht, easy starts, 80 steps)`."""
    conditions = format_conditions(evaluated)
    parts = (format_scores(evaluated, declared_metrics), f"({conditions})" if conditions else "")
    return "  ".join(filter(None, parts))


def format_conditions(evaluated: Evaluated) -> str:
    """Return the conditions, such as `pusht, easy starts, 80 steps; 5 held-out episodes of pusht-mini`."""
    return redact_if_secret(evaluated.conditions)


def format_headline_conditions(evaluated: Evaluated) -> str:
    """Return the conditions of the headline score: the first part of all conditions."""
    return format_conditions(evaluated).partition("; ")[0]


SELECTION = re.compile(r"[,;] (best of \d+ checkpoints, [a-z ]+|as many episodes as a comparison needed)(?=;|$)")
"""Of conditions: how the checkpoint, or the number of episodes, was chosen."""
BIASED = "that chose it"
"""How the selection of a checkpoint ends whose score is too good on average."""


def split_selection(conditions: str) -> tuple[str, str]:
    """Return the conditions of the headline score, and apart what was chosen by scores; empty if nothing was."""
    return SELECTION.sub("", conditions).partition("; ")[0], "; ".join(SELECTION.findall(conditions))


def list_scores(evaluated: Evaluated, declared: Sequence[Metric]) -> list[tuple[str, str]]:
    """Return the scores as pairs of label and text."""
    rows = []
    for metric in add_described_metrics(declared, evaluated):
        if metric.kind != "score" or not metric.brief:
            continue
        if metric.share and (text := format_success(evaluated, metric)):
            rows.append((metric.brief, text))
        elif not metric.share and (value := get_number(evaluated.scores, metric.name)) is not None:
            bounds = format_bounds(evaluated, metric)
            rows.append((metric.brief, format_value(metric, value) + (f" ({bounds})" if bounds else "")))
    if rows:
        return rows
    finite = [(name, value) for name, value in evaluated.scores.items() if math.isfinite(value)]
    return [(redact_if_secret(name), format_number(value, 4)) for name, value in finite[:MAX_SCORES]]


def find_headline_score(scores: Mapping[str, float], declared_metrics: Sequence[Metric]) -> tuple[Metric, float] | None:
    """Return the metric of the main score and its value; None if there is none.

    One that is declared by its name comes before those of a pattern.
    """
    for metric in sorted(declared_metrics, key=lambda metric: metric.pattern):
        if metric.kind != "curve" and (metric.kind != "score" or not metric.headline):
            continue
        name = next(filter(metric.matches, scores), metric.name)
        value = get_share(scores, name) if metric.share else get_number(scores, name)
        if value is not None:
            return metric, value
    return None


def format_headline_score(scores: Mapping[str, float], declared_metrics: Sequence[Metric]) -> str:
    """Return the main score as `85%` or `error 0.41`; empty if there is none."""
    if (headline := find_headline_score(scores, declared_metrics)) is None:
        return ""
    metric, value = headline
    return ("" if metric.share else f"{metric.brief or metric.title} ") + format_value(metric, value)


def format_value(metric: Metric, value: float) -> str:
    """Return a value of a metric as `85%` or `0.41 rad`."""
    return f"{value:.0%}" if metric.share else f"{format_number(value)}{format_unit(metric)}"


def find_share_metric(declared_metrics: Sequence[Metric]) -> Metric | None:
    """Return the headline metric that is a share of episodes."""
    return next(
        (metric for metric in declared_metrics if metric.kind == "score" and metric.headline and metric.share), None
    )


def format_unit(metric: Metric) -> str:
    """Return what follows a value: a space and the unit, or nothing."""
    return f" {metric.unit}" if metric.unit else ""


def format_success(evaluated: Evaluated, metric: Metric | None) -> str:
    """Return a share as `17 of 20, 85% (64-95%)`; empty if there is none."""
    rate = get_share(evaluated.scores, metric.name) if metric else None
    if rate is None:
        return ""
    count = format_success_count(evaluated, metric)
    interval = format_interval(evaluated, metric)
    return (f"{count}, " if count else "") + f"{rate:.0%}" + (f" ({interval})" if interval else "")


def format_success_count(evaluated: Evaluated, metric: Metric | None) -> str:
    """Return `17 of 20`; empty if unknown."""
    counts = count_successes(evaluated, metric)
    return f"{counts[0]} of {counts[1]}" if counts else ""


def count_successes(evaluated: Evaluated, metric: Metric | None) -> tuple[int, int] | None:
    """Return how many episodes succeeded, and of how many; None if unknown."""
    if metric is None:
        return None
    rate = get_share(evaluated.scores, metric.name)
    episode_count = get_number(evaluated.scores, metric.count)
    group = metric.name.partition("/")[0]
    if episode_count is None and all(name.partition("/")[0] == group for name in evaluated.scores):
        episode_count = evaluated.episodes
    return (
        (round(rate * episode_count), round(episode_count))
        if rate is not None and episode_count and 0 < episode_count < MAX_EPISODES
        else None
    )


def format_failure_count(success_count: tuple[int, int] | None) -> str:
    """Return `0 of 20 episodes succeeded` if none did; empty if one did, and for None.

    :param success_count: what `count_successes` returns.
    """
    return f"0 of {success_count[1]} episodes succeeded" if success_count and not success_count[0] else ""


def format_interval(evaluated: Evaluated, metric: Metric | None) -> str:
    """Return the confidence interval as `64-95%`; empty if unknown."""
    lower_bound, upper_bound = (
        get_share(evaluated.scores, name) for name in ((metric.low, metric.high) if metric else ("", ""))
    )
    return format_share_bounds(lower_bound, upper_bound)


def format_share_bounds(lower_bound: float | None, upper_bound: float | None) -> str:
    """Return the interval of a share as `64-95%`; empty if an end is unknown."""
    return "" if lower_bound is None or upper_bound is None else f"{lower_bound * 100:.0f}-{upper_bound * 100:.0f}%"


def format_bounds(evaluated: Evaluated, metric: Metric) -> str:
    """Return the confidence interval of a score that is no share as `0.3 to 0.5`; empty if unknown."""
    lower_bound, upper_bound = (get_number(evaluated.scores, name) for name in (metric.low, metric.high))
    return (
        ""
        if lower_bound is None or upper_bound is None
        else f"{format_number(lower_bound)} to {format_number(upper_bound)}"
    )


def format_registration_note(registration: Registered) -> str:
    """Return `existed already; scores of RUN replaced`; empty for a new version."""
    replaced = f"; scores of {redact_if_secret(registration.replaced)} replaced" if registration.replaced else ""
    return "" if registration.new else f"existed already{replaced}"


def get_number(scores: Mapping[str, float], name: str) -> float | None:
    """Return a score if it is finite, else None."""
    value = scores.get(name)
    return value if value is not None and math.isfinite(value) else None


def format_number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, without an exponent below 10 million: `0.41`, `13700`."""
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if 10**digits <= abs(value) < MAX_PLAIN_NUMBER else text


def get_share(scores: Mapping[str, float], name: str) -> float | None:
    """Return a score if it is between 0 and 1, else None."""
    value = get_number(scores, name)
    return value if value is not None and 0 <= value <= 1 else None
