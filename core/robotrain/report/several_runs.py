"""Comparison of runs: what differs, and the page that shows it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain_runtime.comparison.decision import CONFIDENCE
from robotrain_runtime.contract.event import Evaluated

from robotrain.model import scores
from robotrain.model.amounts import format_duration
from robotrain.model.workload_profile import Metric
from robotrain.report import compared_evaluations, comparison_record
from robotrain.report.charts import MAX_LINES, Bar
from robotrain.report.collect import RunFacts, name_sources
from robotrain.report.curves import Curves, capitalize, describe_best, describe_names, find_curve_metrics, list_curves
from robotrain.report.evaluation import format_number
from robotrain.report.template import redact_text, render_template
from robotrain.store.run_differences import (
    Difference,
    RunValue,
    collect_stored_values,
    find_differences,
    label_runs,
)
from robotrain.store.run_values import IDENTITIES, shorten_texts


@dataclass(frozen=True, slots=True)
class DifferingRow:
    """A value that differs between runs; None for a run that does not have it."""

    name: str
    values: tuple[str | float | None, ...]


def compare_metrics(compared_facts: Sequence[RunFacts]) -> list[DifferingRow]:
    """Return the newest value of each metric, without scores and metrics of single episodes."""
    progresses = [facts.compared_progress for facts in compared_facts]
    metric_names = sorted({name for progress in progresses for name in progress.metrics})
    shown_names = (
        name
        for name in metric_names
        if not any(progress.is_episode_metric(name) or progress.is_score(name) for progress in progresses)
    )
    return [DifferingRow(name, tuple(progress.metrics.get(name) for progress in progresses)) for name in shown_names]


def compare_jobs(compared_facts: Sequence[RunFacts]) -> list[Difference]:
    """Return the sources and settings that differ, also between workloads; runs without a stored plan do not count."""
    return find_differences([_collect_values(facts) for facts in compared_facts])


def list_unknown_jobs(compared_facts: Sequence[RunFacts]) -> list[str]:
    """Return the labels of the runs whose plan is not stored here: their settings are not known."""
    return [facts.label or facts.record.run for facts in compared_facts if not facts.values]


def _collect_values(facts: RunFacts) -> dict[str, RunValue]:
    if not facts.values:
        return {}
    values = collect_stored_values(facts.values, facts.sources, is_sweep=facts.record.is_sweep)
    run_facts = {"workload": RunValue(facts.record.workload), "platform": RunValue(facts.record.platform)}
    return values | run_facts


MEASURED_ROLES = ("dataset", "code")
"""The roles of sources that decide what a loss is measured on, and how."""
MAX_IN_TITLE = 3
"""How many runs the title names at most."""
MAX_COLUMNS = 4
"""Up to how many settings that differ are columns of the table of runs; more have a table of their own."""


def render_comparison_page(compared_facts: Sequence[RunFacts], run_pages: Mapping[str, str] | None = None) -> str:
    """Return the page; equal facts give equal pages.

    :param run_pages: the file of the page of each run that has one in the same folder.
    """
    labels = label_runs([facts.record for facts in compared_facts])
    compared_facts = [dataclasses.replace(facts, label=labels[facts.record.run]) for facts in compared_facts]
    differences = compare_jobs(compared_facts)
    sources = [difference for difference in differences if difference.is_source]
    settings = [
        difference for difference in differences if not difference.is_source and difference.name not in IDENTITIES
    ]
    few_settings = settings if len(settings) <= MAX_COLUMNS else []
    run_curves = [Curves(facts.label, facts.record, facts.compared_progress) for facts in compared_facts]
    run_head, *run_rows = _list_run_rows(compared_facts, sources, few_settings)
    return render_template(
        "comparison.html",
        _make_title([facts.label for facts in compared_facts]),
        max(facts.written for facts in compared_facts),
        run_pages,
        run_head=run_head,
        run_rows=run_rows,
        run_ids=["" if _has_id(facts) else facts.record.run for facts in compared_facts],
        has_sweeps=any(facts.sweep and facts.sweep.best_progress for facts in compared_facts),
        conclusion=describe_best(run_curves),
        doubt=_describe_other_data(compared_facts, sources),
        uncompared=describe_names(run_curves),
        curves=list(list_curves(run_curves[:MAX_LINES])),
        metric_head=_make_head(compared_facts),
        metrics=_make_rows(compare_metrics(compared_facts)),
        settings=[] if few_settings else _make_difference_rows(settings, compared_facts),
        is_equal=not differences,
        without_plan=list_unknown_jobs(compared_facts),
        sources=_make_difference_rows(sources, compared_facts),
        **_describe_success_rates(compared_facts),
        **_describe_scores(compared_facts),
    )


def _make_title(labels: Sequence[str]) -> str:
    if len(labels) > MAX_IN_TITLE:
        return f"{len(labels)} runs compared"
    return f"{', '.join(labels[:-1])} and {labels[-1]} compared"


def _describe_other_data(compared_facts: Sequence[RunFacts], sources: Sequence[Difference]) -> str:
    """Return a sentence if the losses of runs are not of the same data or program."""
    names = [difference.name for difference in sources if difference.name in MEASURED_ROLES]
    if len({facts.record.program for facts in compared_facts}) > 1:
        names.append("program")
    return f"The runs differ in their {' and '.join(names)}, so this need not mean the same." if names else ""


def _list_run_rows(
    compared_facts: Sequence[RunFacts], sources: Sequence[Difference], settings: Sequence[Difference]
) -> list[tuple[str, ...]]:
    """Return a row for each run, the head first: how it ended, what only it has, and what it reached."""
    progresses = [facts.compared_progress for facts in compared_facts]
    are_steps = all(progress.unit == "step" for progress in progresses)
    columns: list[tuple[str, list[str]]] = [
        ("run", [facts.label for facts in compared_facts]),
        ("state", [facts.status.state for facts in compared_facts]),
    ]
    properties = {
        "workload": [facts.record.workload for facts in compared_facts],
        "platform": [facts.record.platform for facts in compared_facts],
        "steps": [
            f"{progress.step} of {progress.total}{'' if are_steps else f' {progress.unit}s'}"
            if progress.total
            else str(progress.step or "")
            for progress in progresses
        ],
    }
    columns += [(name, cells) for name, cells in properties.items() if len({*cells}) > 1]
    for role in (difference.name for difference in sources):
        source_names = [name_sources(facts.sources, role, facts.training_run) for facts in compared_facts]
        columns.append((role, shorten_texts(source_names)))
    columns += [(redact_text(difference.name), list_cells(difference, compared_facts)) for difference in settings]
    for metric in find_curve_metrics(progresses).values():
        columns.append((metric.title, [format_number(progress.metrics.get(metric.name)) for progress in progresses]))
    headline_scores = [
        scores.format_headline_score(progress.evaluated.scores, facts.record.metrics) if progress.evaluated else ""
        for facts, progress in zip(compared_facts, progresses, strict=True)
    ]
    columns += [
        ("score", headline_scores),
        ("best trial", [facts.best_trial for facts in compared_facts]),
        ("note", [redact_text(facts.record.note) for facts in compared_facts]),
        ("time", ["" if facts.seconds is None else format_duration(facts.seconds) for facts in compared_facts]),
    ]
    return [tuple(name for name, _ in columns), *zip(*(cells for _, cells in columns), strict=True)]


def _has_id(facts: RunFacts) -> bool:
    """Return whether the label has the run, or as much of it as every command takes."""
    run_id = facts.record.run.removeprefix(f"{facts.record.workload}-")
    return facts.label == facts.record.run or facts.label.endswith(f"({run_id})")


def _make_head(compared_facts: Sequence[RunFacts]) -> tuple[str, ...]:
    return ("", *(facts.label for facts in compared_facts))


def _make_rows(rows: Sequence[DifferingRow]) -> list[tuple[str, ...]]:
    return [
        (
            redact_text(row.name),
            *(format_number(value) if isinstance(value, float) else value or "" for value in row.values),
        )
        for row in rows
    ]


def _make_difference_rows(
    differences: Sequence[Difference], compared_facts: Sequence[RunFacts]
) -> list[tuple[str, ...]]:
    return [(redact_text(difference.name), *list_cells(difference, compared_facts)) for difference in differences]


def list_cells(difference: Difference, compared_facts: Sequence[RunFacts]) -> list[str]:
    """Return the value of each run as text; empty for a run whose settings are not known."""
    return [cell if facts.values else "" for cell, facts in zip(difference.cells, compared_facts, strict=True)]


def _describe_success_rates(compared_facts: Sequence[RunFacts]) -> dict[str, Any]:
    """Return the bars of the success rates with their intervals, their conditions, and whether one is better."""
    metric = _find_rate_metric(compared_facts)
    if metric is None:
        return {"rate_bars": []}
    bars = [(facts, _make_bar(facts, metric, number)) for number, facts in enumerate(compared_facts, 1)]
    facts_with_rate = [facts for facts, bar in bars if bar]
    verdicts, verdict_notes = compared_evaluations.list_verdicts(facts_with_rate)
    return {
        "rate_title": capitalize(metric.title),
        "rate_conditions": [*_describe_conditions(facts_with_rate)],
        "rate_verdicts": verdicts,
        "verdict_notes": verdict_notes,
        "explanation": comparison_record.explain_numbers(CONFIDENCE, None),
        "rate_bars": [bar for _, bar in bars if bar],
    }


def _describe_conditions(compared: Sequence[RunFacts]) -> Iterator[str]:
    """Yield sentences about the conditions of two or more evaluations."""
    by_conditions: dict[str, list[str]] = {}
    for facts in compared:
        evaluated = facts.progress.evaluated
        conditions = scores.format_headline_conditions(evaluated) if evaluated else ""
        by_conditions.setdefault(conditions, []).append(facts.label)
    if len(compared) < 2:
        return
    if len(by_conditions) > 1:
        yield "These rates have different conditions and cannot be compared with each other:"
        for conditions, labels in by_conditions.items():
            yield f"{', '.join(labels)}: {conditions or 'unknown conditions'}"
    elif "" in by_conditions:
        yield "The conditions of these rates are unknown: they can be compared only if the conditions are equal."
    else:
        yield f"Conditions of all: {next(iter(by_conditions))}."


def _find_rate_metric(compared_facts: Sequence[RunFacts]) -> Metric | None:
    return next(filter(None, (scores.find_share_metric(facts.record.metrics) for facts in compared_facts)), None)


def _make_bar(facts: RunFacts, metric: Metric, number: int) -> Bar | None:
    evaluated = facts.progress.evaluated
    success_rate = scores.get_share(evaluated.scores, metric.name) if evaluated else None
    if evaluated is None or success_rate is None:
        return None
    lower_bound, upper_bound = (scores.get_share(evaluated.scores, name) for name in (metric.low, metric.high))
    rate_text = scores.format_success(evaluated, metric)
    return Bar(facts.label, success_rate, rate_text, lower_bound, upper_bound, min(number, MAX_LINES))


def _describe_scores(compared_facts: Sequence[RunFacts]) -> dict[str, Any]:
    """Return the table of all scores, the training run of each policy, and notes about the scores."""
    evaluated_runs = [(facts, evaluated) for facts in compared_facts if (evaluated := facts.progress.evaluated)]
    if not evaluated_runs:
        return {"score_rows": []}
    evaluations = [evaluated for _, evaluated in evaluated_runs]
    described_metrics = (
        scores.expand_patterns(scores.add_described_metrics(facts.record.metrics, evaluated), evaluated)
        for facts, evaluated in evaluated_runs
    )
    declared_metrics = list(dict.fromkeys(metric for metrics in described_metrics for metric in metrics))
    policy_row = ("policy of", *(facts.training_run for facts, _ in evaluated_runs))
    rows = [row for row in (policy_row, *_list_score_rows(evaluations, declared_metrics)) if any(row[1:])]
    return {
        "score_head": _make_head([facts for facts, _ in evaluated_runs]),
        "score_rows": rows,
        "score_notes": list(_list_score_notes(evaluations, declared_metrics)),
        "evaluation_remarks": [
            f"{facts.label}: {remark}"
            for facts in compared_facts
            if facts.evaluation
            for remark in facts.evaluation.remarks
        ],
    }


def _list_score_notes(evaluations: Sequence[Evaluated], declared_metrics: Sequence[Metric]) -> Iterator[str]:
    """Yield the notes of the scores that are shown and, for several runs, which direction is better."""
    shown_metrics = [
        metric
        for metric in declared_metrics
        if metric.kind == "score" and any(metric.name in evaluated.scores for evaluated in evaluations)
    ]
    yield from dict.fromkeys(metric.note for metric in shown_metrics if metric.note)
    for better in ("higher", "lower"):
        metric_titles = [metric.title for metric in shown_metrics if metric.better == better]
        if metric_titles and len(evaluations) > 1:
            yield f"{better.capitalize()} is better: {'; '.join(metric_titles)}."


def _list_score_rows(evaluations: Sequence[Evaluated], declared_metrics: Sequence[Metric]) -> Iterator[tuple[str, ...]]:
    yield "at step", *(str(evaluated.step or "") for evaluated in evaluations)
    yield "conditions", *map(scores.format_conditions, evaluations)
    listed_names: set[str] = set()
    for metric in declared_metrics:
        if metric.kind == "score" and metric.share:
            yield metric.title, *(scores.format_success(evaluated, metric) for evaluated in evaluations)
            listed_names.add(metric.name)
        listed_names |= {metric.low, metric.high, *([metric.count] if metric.share else [])}
    metric_by_name = {metric.name: metric for metric in declared_metrics if metric.kind == "score"}
    score_names = {name for evaluated in evaluations for name in evaluated.scores} - listed_names
    for name in (
        *(name for name in metric_by_name if name in score_names),
        *sorted(score_names.difference(metric_by_name)),
    ):
        title = metric_by_name[name].title if name in metric_by_name else redact_text(name)
        yield title, *(_format_score(evaluated, name, metric_by_name.get(name)) for evaluated in evaluations)


def _format_score(evaluated: Evaluated, name: str, metric: Metric | None) -> str:
    unit = scores.format_unit(metric) if metric else ""
    score_text = format_number(scores.get_number(evaluated.scores, name), 3 if unit else 4)
    bounds = scores.format_bounds(evaluated, metric) if metric else ""
    return f"{score_text}{unit}{f' ({bounds})' if bounds else ''}" if score_text else ""
