"""The page about several runs: what differs between them, their curves and their scores."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_runtime.comparison.decision import CONFIDENCE

from robotrain.model import scores
from robotrain.model.workload_profile import Metric
from robotrain.report import compared_evaluations, comparison_record
from robotrain.report.charts import MAX_LINES, Bar
from robotrain.report.collect import RunFacts, name_sources
from robotrain.report.curves import Curves, capitalize, find_curve_metrics, list_curves
from robotrain.report.evaluation import format_number
from robotrain.report.tables import Row, Tables, compare_runs, list_score_metrics, list_unknown
from robotrain.report.template import render_template
from robotrain.store.run_differences import label_runs
from robotrain.store.run_values import shorten_texts

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
    tables = compare_runs(compared_facts)
    few_settings = tables.settings if len(tables.settings) <= MAX_COLUMNS else []
    run_curves = [Curves(facts.label, facts.record, facts.compared_progress) for facts in compared_facts]
    run_head, *run_rows = _list_run_rows(compared_facts, tables, few_settings)
    return render_template(
        "comparison.html",
        _make_title([facts.label for facts in compared_facts]),
        max(facts.written for facts in compared_facts),
        run_pages,
        run_head=run_head,
        run_rows=run_rows,
        run_ids=["" if _has_id(facts) else facts.record.run for facts in compared_facts],
        has_sweeps=any(facts.sweep and facts.sweep.best_progress for facts in compared_facts),
        curves=list(list_curves(run_curves[:MAX_LINES])),
        head=("", *labels.values()),
        metrics=[row.cells for row in tables.metrics],
        settings=[] if few_settings else [row.cells for row in tables.settings],
        is_equal=not (tables.settings or tables.data),
        without_plan=list_unknown(compared_facts),
        sources=[row.cells for row in tables.data],
        score_rows=[row.cells for row in tables.scores if any(row.texts)],
        score_notes=[*_list_score_notes(compared_facts, tables.scores)],
        evaluation_remarks=[
            f"{facts.label}: {remark}"
            for facts in compared_facts
            if facts.evaluation
            for remark in facts.evaluation.remarks
        ],
        **_describe_success_rates(compared_facts),
    )


def _make_title(labels: Sequence[str]) -> str:
    if len(labels) > MAX_IN_TITLE:
        return f"{len(labels)} runs compared"
    return f"{', '.join(labels[:-1])} and {labels[-1]} compared"


def _list_run_rows(
    compared_facts: Sequence[RunFacts], tables: Tables, settings: Sequence[Row]
) -> list[tuple[str, ...]]:
    """Return a row for each run, the head first: how it ended, what only it has, and what it reached."""
    progresses = [facts.compared_progress for facts in compared_facts]
    columns = [("run", *(facts.label for facts in compared_facts)), *(row.cells for row in tables.runs)]
    for row in tables.data:
        source_names = [name_sources(facts.sources, row.name, facts.training_run) for facts in compared_facts]
        columns.append((row.name, *shorten_texts(source_names)))
    columns += [row.cells for row in settings]
    for metric in find_curve_metrics(progresses).values():
        columns.append((metric.title, *(format_number(progress.metrics.get(metric.name)) for progress in progresses)))
    return list(zip(*columns, strict=True))


def _has_id(facts: RunFacts) -> bool:
    """Return whether the label has the run, or as much of it as every command takes."""
    run_id = facts.record.run.removeprefix(f"{facts.record.workload}-")
    return facts.label == facts.record.run or facts.label.endswith(f"({run_id})")


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


def _list_score_notes(compared_facts: Sequence[RunFacts], score_rows: Sequence[Row]) -> Iterator[str]:
    """Yield the notes of the scores that are shown and, for several runs, which direction is better."""
    shown_names = [row.name for row in score_rows]
    shown_metrics = [metric for metric in list_score_metrics(compared_facts) if metric.name in shown_names]
    yield from dict.fromkeys(metric.note for metric in shown_metrics if metric.note)
    for better in ("higher", "lower"):
        metric_titles = [metric.title for metric in shown_metrics if metric.better == better]
        if metric_titles and sum(bool(facts.progress.evaluated) for facts in compared_facts) > 1:
            yield f"{better.capitalize()} is better: {'; '.join(metric_titles)}."
